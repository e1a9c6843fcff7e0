#include "shared/cli/options.h"

#include "shared/base/memory.h"
#include "shared/base/names.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A number below its least value stands for "not given", which the option's help explains.
static const char *default_text(const XrOption *o, char *text, size_t room) {
    text[0] = '\0';
    if (o->kind == XR_OPT_INT) {
        int64_t value = *(int64_t *)o->value;
        if (o->least < o->most && (double)value < o->least) return text;
        snprintf(text, room, " (default %lld)", (long long)value);
    } else if (o->kind == XR_OPT_DOUBLE && !isnan(*(double *)o->value)) {
        snprintf(text, room, " (default %g)", *(double *)o->value);
    } else if (o->kind == XR_OPT_TEXT && *(const char **)o->value) {
        snprintf(text, room, " (default %s)", *(const char **)o->value);
    }
    return text;
}

static void print_help(const XrCommandLine *line) {
    printf("usage: %s\n\n%s\n", line->usage, line->description);
    if (line->option_count) printf("\noptions:\n");
    for (int i = 0; i < line->option_count; i++) {
        const XrOption *o = &line->options[i];
        char left[64], value[64];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->value_name ? " " : "",
                 o->value_name ? o->value_name : "");
        const char *help = strstr(o->help, "default") ? "" : default_text(o, value, sizeof value);
        printf("  %-28s %s%s\n", left, o->help, help);
    }
    printf("  %-28s %s\n", "--help", "show this text");
}

static bool among(const char *value, const char *choices) {
    size_t length = strlen(value);
    for (const char *at = choices; at; at = strchr(at, '|'), at = at ? at + 1 : NULL) {
        if (strcspn(at, "|") == length && strncmp(at, value, length) == 0) return true;
    }
    return false;
}

static XrParsed wrong(const XrCommandLine *line, const char *what, const char *detail) {
    fprintf(stderr, "xreasoner: %s%s\nusage: %s\n", what, detail, line->usage);
    return XR_PARSED_WRONG;
}

static bool in_bounds(const XrOption *o, double number) {
    return !(o->least < o->most) || (number >= o->least && number <= o->most);
}

// Stores one value; false when it does not fit the option.
static bool store(const XrOption *o, const char *text) {
    char *end = NULL;
    errno = 0;
    switch (o->kind) {
    case XR_OPT_FLAG:
        *(bool *)o->value = true;
        return true;
    case XR_OPT_INT: {
        long long number = strtoll(text, &end, 10);
        if (errno || end == text || *end || !in_bounds(o, (double)number)) return false;
        *(int64_t *)o->value = number;
        return true;
    }
    case XR_OPT_DOUBLE: {
        double number = strtod(text, &end);
        if (end == text || *end || !isfinite(number) || !in_bounds(o, number)) return false;
        *(double *)o->value = number;
        return true;
    }
    case XR_OPT_TEXT:
        if (o->choices && !among(text, o->choices)) return false;
        *(const char **)o->value = text;
        return true;
    case XR_OPT_LIST: {
        XrTextList *list = o->value;
        list->items = xr_realloc(list->items, sizeof *list->items * (size_t)(list->count + 1));
        list->items[list->count++] = text;
        return true;
    }
    }
    return false;
}

static XrParsed unknown_option(const XrCommandLine *line, const char *name) {
    const char *names[128];
    int count = XR_MIN(line->option_count, (int)XR_COUNT(names));
    for (int i = 0; i < count; i++) names[i] = line->options[i].name;
    const char *near = xr_nearest_name(name, names, count);
    char detail[192];
    snprintf(detail, sizeof detail, "--%s%s%s%s", name, near ? "; did you mean --" : "",
             near ? near : "", near ? "?" : "");
    return wrong(line, "unknown option ", detail);
}

static XrParsed bad_value(const XrCommandLine *line, const XrOption *o, const char *text) {
    char detail[256];
    int used = snprintf(detail, sizeof detail, "--%s %s: must be ", o->name, text);
    if (used < 0 || (size_t)used >= sizeof detail) used = 0;
    char *at = detail + used;
    size_t room = sizeof detail - (size_t)used;
    if (o->choices)
        snprintf(at, room, "one of %s", o->choices);
    else if (o->least < o->most)
        snprintf(at, room, "a %s from %g to %g", o->kind == XR_OPT_INT ? "whole number" : "number",
                 o->least, o->most);
    else
        snprintf(at, room, "a %s", o->kind == XR_OPT_INT ? "whole number" : "number");
    return wrong(line, "", detail);
}

// Handles the option at argv[*at], taking its value from the next argument where it needs one.
static XrParsed parse_option(const XrCommandLine *line, int argc, char **argv, int *at) {
    const char *argument = argv[*at] + 2;
    size_t length = strcspn(argument, "=");
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)XR_MIN(length, sizeof name - 1), argument);
    if (strcmp(name, "help") == 0) {
        print_help(line);
        return XR_PARSED_HELP;
    }
    for (int i = 0; i < line->option_count; i++) {
        const XrOption *o = &line->options[i];
        if (strcmp(o->name, name) != 0) continue;
        const char *value = argument[length] == '=' ? argument + length + 1 : NULL;
        if (o->kind == XR_OPT_FLAG) {
            if (value) return wrong(line, "this option takes no value: --", name);
        } else if (!value) {
            if (*at + 1 >= argc) return wrong(line, "a value is missing after --", name);
            value = argv[++*at];
            if (strcmp(value, "--help") == 0) {
                print_help(line);
                return XR_PARSED_HELP;
            }
        }
        return store(o, value) ? XR_PARSED : bad_value(line, o, value);
    }
    return unknown_option(line, name);
}

// In the words of the usage: "xreasoner COMMAND [--FLAG] ARGUMENT ...".
static XrParsed missing_argument(const XrCommandLine *line, int position) {
    const char *word = line->usage;
    for (int at = -2; *word; at += *word != '-') {
        if (at == position && *word != '-') break;
        word += strcspn(word, " ");
        word += strspn(word, " ");
    }
    char name[80];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, " "), word);
    return wrong(line, *name ? name : "an argument", " is missing");
}

XrParsed xr_parse_command_line(const XrCommandLine *line, int argc, char **argv,
                               const char **arguments, int *count) {
    bool options = true;
    *count = 0;
    for (int i = 0; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && strcmp(argv[i], "-h") == 0) {
            print_help(line);
            return XR_PARSED_HELP;
        } else if (options && argv[i][0] == '-' && argv[i][1] == '-') {
            XrParsed parsed = parse_option(line, argc, argv, &i);
            if (parsed != XR_PARSED) return parsed;
        } else if (options && argv[i][0] == '-' && argv[i][1]) {
            return wrong(line, "unknown option ", argv[i]);
        } else {
            if (line->most_arguments >= 0 && *count >= line->most_arguments) {
                return wrong(line, "one argument too many: ", argv[i]);
            }
            arguments[(*count)++] = argv[i];
        }
    }
    if (*count < line->least_arguments) return missing_argument(line, *count);
    return XR_PARSED;
}
