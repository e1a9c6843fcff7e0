// config.json and generation_config.json from hostile bytes: 'G' in front chooses the second. What
// is accepted must give a parameter table whose sizes are sound.
#include "shared/model/generation_config.h"
#include "shared/model/parameters.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_generation(const char *text, size_t bytes) {
    XrConfig config = {.vocab = 152064, .eos = {151645}, .eos_count = 1, .bos = -1, .pad = -1};
    XrGenerationConfig generation;
    XrError err = {0};
    if (!xr_generation_config_parse(&generation, "g", text, bytes, &config, &err)) return;
    XR_REQUIRE(generation.eos_count <= XR_MAX_EOS && generation.top_k >= 0 &&
                   generation.top_p >= 0 && generation.top_p <= 1 && generation.temperature >= 0,
               "a generation configuration out of range");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    if (size > 0 && text[0] == 'G') {
        read_generation(text + 1, size - 1);
        return 0;
    }
    XrConfig config;
    XrError err = {0};
    if (!xr_config_parse(&config, "c", text, size, &err)) {
        XR_REQUIRE(err.message[0], "refused without a message");
        return 0;
    }
    XrParameterTable table = xr_parameters(&config);
    for (int i = 0; i < table.count; i++) {
        XR_REQUIRE(xr_parameter_elements(&table.items[i]) > 0, "%s is empty", table.items[i].name);
    }
    xr_parameters_free(&table);
    return 0;
}
