#include "shared/dataset/example.h"

#include "shared/base/memory.h"

#include <stdlib.h>

void xr_example_free(XrExample *example) {
    xr_chat_free(&example->chat);
    free(example->question);
    for (int i = 0; i < example->option_count; i++) free(example->options[i]);
    for (int i = 0; i < example->image_count; i++) free(example->images[i]);
    free(example->response);
    free(example->gold);
    free(example->id);
    *example = (XrExample){0};
}
