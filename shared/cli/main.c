// xreasoner COMMAND [ARGUMENTS]
#include "shared/cli/commands.h"
#include "shared/cli/options.h"

#include "ref/isa.h"
#include "shared/base/memory.h"
#include "shared/base/names.h"
#include "shared/tensor/backend.h"

#include <cblas.h> // defines: openblas_get_config
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} Command;

#define COMMAND_ROW(name, help) {#name, xr_command_##name, help},
static const Command COMMANDS[] = {XR_COMMANDS(COMMAND_ROW){NULL, NULL, NULL}};

static void print_help(FILE *out) {
    fprintf(out, "usage: xreasoner COMMAND [ARGUMENTS]\n\ncommands:\n");
    for (const Command *c = COMMANDS; c->name; c++) fprintf(out, "  %-10s %s\n", c->name, c->help);
    fprintf(out, "\nxreasoner COMMAND --help explains a command; xreasoner --version says what was "
                 "built in.\n");
}

#if defined(__clang__)
static const char COMPILER[] = __VERSION__; // names itself
#else
static const char COMPILER[] = "gcc " __VERSION__;
#endif

static void print_version(void) {
    printf("xreasoner %s\n", XR_VERSION);
    printf("compiler:    %s\n", COMPILER);
    printf("processor:   %s kernels\n", xr_isa_name(xr_isa()));
    printf("BLAS:        %s\n", openblas_get_config());
    const char *cuda = xr_cuda_build();
    printf("CUDA:        %s\n", cuda ? cuda : "not built in");
    printf("NCCL:        not built in\n");
    printf("MPI:         not built in\n");
}

static int unknown_command(const char *name) {
    const char *names[XR_COUNT(COMMANDS)] = {0};
    int count = 0;
    for (const Command *c = COMMANDS; c->name; c++) names[count++] = c->name;
    const char *near = xr_nearest_name(name, names, count);
    fprintf(stderr, "xreasoner: unknown command %s%s%s%s\n", name, near ? "; did you mean " : "",
            near ? near : "", near ? "?" : "");
    print_help(stderr);
    return 2;
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        print_version();
        return 0;
    }
    for (const Command *c = COMMANDS; c->name; c++) {
        if (strcmp(argv[1], c->name) == 0) return c->run(argc - 2, argv + 2);
    }
    return unknown_command(argv[1]);
}

int main(int argc, char **argv) {
    int code = run(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "xreasoner: cannot write to standard output: %s\n", strerror(errno));
        return code ? code : 1;
    }
    return code;
}
