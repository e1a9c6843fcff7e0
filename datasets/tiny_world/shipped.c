#include "datasets/tiny_world/shipped.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"

#include <stdlib.h>

// The assembler puts the file's bytes between two symbols.
#define EMBED(symbol, file)                                                                        \
    __asm__(".section .rodata\n"                                                                   \
            ".balign 16\n" #symbol "_begin:\n"                                                     \
            ".incbin \"" XR_SOURCE_DIR "/datasets/tiny_world/base/" file "\"\n" #symbol "_end:\n"  \
            ".byte 0\n"                                                                            \
            ".previous\n");                                                                        \
    extern const char symbol##_begin[] __attribute__((visibility("hidden")));                      \
    extern const char symbol##_end[] __attribute__((visibility("hidden")))

EMBED(xr_shipped_config, "config.json");
EMBED(xr_shipped_generation, "generation_config.json");
EMBED(xr_shipped_processor, "preprocessor_config.json");
EMBED(xr_shipped_tokenizer, "tokenizer.json");
EMBED(xr_shipped_template, "tokenizer_config.json");
EMBED(xr_shipped_weights, "model.safetensors");

static const struct {
    const char *name, *begin, *end;
} FILES[] = {
    {"config.json", xr_shipped_config_begin, xr_shipped_config_end},
    {"generation_config.json", xr_shipped_generation_begin, xr_shipped_generation_end},
    {"preprocessor_config.json", xr_shipped_processor_begin, xr_shipped_processor_end},
    {"tokenizer.json", xr_shipped_tokenizer_begin, xr_shipped_tokenizer_end},
    {"tokenizer_config.json", xr_shipped_template_begin, xr_shipped_template_end},
    {"model.safetensors", xr_shipped_weights_begin, xr_shipped_weights_end},
};

bool xr_world_write_shipped(const char *folder, XrError *err) {
    bool ok = xr_make_folders(folder, err);
    for (size_t i = 0; ok && i < XR_COUNT(FILES); i++) {
        char *path = xr_path_join(folder, FILES[i].name);
        ok = xr_file_write(path, FILES[i].begin, (size_t)(FILES[i].end - FILES[i].begin), err);
        free(path);
    }
    return ok;
}
