// Command-line options of one command, described once: parsing, --help and messages come from the
// same table.
#ifndef XR_CLI_OPTIONS_H
#define XR_CLI_OPTIONS_H

#include "shared/base/error.h"

#include <stdint.h>

typedef enum XrOptionKind {
    XR_OPT_FLAG,   // bool *: set to true
    XR_OPT_INT,    // int64_t *
    XR_OPT_DOUBLE, // double *
    XR_OPT_TEXT,   // const char **
    XR_OPT_LIST,   // XrTextList *: may be given several times
} XrOptionKind;

typedef struct XrTextList {
    const char **items;
    int count;
} XrTextList;

typedef struct XrOption {
    const char *name; // without "--"
    XrOptionKind kind;
    void *value;            // holds the default before parsing
    const char *value_name; // "N", "FILE"; NULL for flags
    const char *help;       // one line
    const char *choices;    // "cpu|cuda" restricts XR_OPT_TEXT, or NULL
    double least, most;     // bounds of numbers, when least < most
} XrOption;

typedef struct XrCommandLine {
    const char *usage;       // "xreasoner tokenize MODEL [options]"
    const char *description; // what the command does, a paragraph
    const XrOption *options;
    int option_count;
    int least_arguments, most_arguments; // positional ones; most -1: any number
} XrCommandLine;

typedef enum XrParsed { XR_PARSED, XR_PARSED_HELP, XR_PARSED_WRONG } XrParsed;

// Parses argv[0..argc) (the command's name not among them). Positional arguments end up in
// `arguments` in order, `*count` of them; "--" ends options; "--name=value" and "--name value" are
// equal. --help prints to stdout and gives XR_PARSED_HELP; wrong usage is explained on stderr, with
// the nearest known option, and gives XR_PARSED_WRONG (exit code 2).
XrParsed xr_parse_command_line(const XrCommandLine *line, int argc, char **argv,
                               const char **arguments, int *count);

#endif
