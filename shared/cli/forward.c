// xreasoner forward: one request through the model, its inputs and outputs written for comparison.
#include "shared/cli/commands.h"
#include "shared/cli/device.h"

#include "shared/base/file.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/model/batch.h"
#include "shared/model/vision.h"
#include "shared/prompt/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Arguments {
    const char *model, *request, *out, *dtype;
    XrDevice device;
    int64_t last, min_pixels, max_pixels;
    bool check_weights;
} Arguments;

// What is written, on the host, named as transformers names it.
typedef struct Outputs {
    XrSaveTensor tensors[8];
    int count;
} Outputs;

// Adds a tensor; its memory is freed with the outputs.
static void *add_output(Outputs *o, const char *name, XrDType dtype, int ndim,
                        const int64_t *shape) {
    XrTensor t = xr_tensor_of(dtype, NULL, ndim, shape);
    t.data = xr_alloc_aligned(XR_MAX(xr_nbytes(&t), (size_t)1));
    o->tensors[o->count++] = (XrSaveTensor){.name = name, .tensor = t};
    return t.data;
}

static void free_outputs(Outputs *o) {
    for (int i = 0; i < o->count; i++) free(o->tensors[i].tensor.data);
}

static bool read_ids(const XrJson *json, const cJSON *array, int64_t vocab, XrIds *ids,
                     XrError *err) {
    if (!cJSON_IsArray(array) || !array->child) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"input_ids\" must be a list of token ids",
                       json->name);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, array) {
        int64_t id;
        if (!xr_json_whole(item, &id) || id < 0 || id >= vocab) {
            return xr_fail(err, XR_ERR_INPUT,
                           "%s: \"input_ids\"[%zu] is no token id; the model has 0 to %lld",
                           json->name, ids->count, (long long)vocab - 1);
        }
        xr_ids_append(ids, &(int32_t){(int32_t)id}, 1);
    }
    return true;
}

// The list of picture paths under "images"; `*paths` is to be freed.
static bool read_paths(const XrJson *json, const char ***paths, int *count, XrError *err) {
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(json->root, "images"), *item;
    *count = 0;
    *paths = NULL;
    if (!array) return true;
    if (!cJSON_IsArray(array)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"images\" must be a list of paths", json->name);
    }
    *paths = xr_calloc((size_t)cJSON_GetArraySize(array), sizeof **paths);
    cJSON_ArrayForEach(item, array) {
        if (!cJSON_IsString(item)) {
            return xr_fail(err, XR_ERR_INPUT, "%s: \"images\"[%d] is not a path", json->name,
                           *count);
        }
        (*paths)[(*count)++] = item->valuestring;
    }
    return true;
}

static bool prompt_from_request(XrPrompt *out, const XrChatModel *m, const XrJson *json,
                                XrError *err) {
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(json->root, "messages");
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(json->root, "input_ids");
    if (!messages == !ids) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: a request has either \"messages\" or \"input_ids\" with \"images\"",
                       json->name);
    }
    bool ok;
    if (messages) {
        XrChat chat = {0};
        XrChatOptions options = {.add_generation_prompt = true};
        ok = xr_json_get_bool(json, json->root, "add_generation_prompt",
                              &options.add_generation_prompt, err) &&
             xr_chat_add_json(&chat, json, messages, err) &&
             xr_prompt_from_chat(out, m, &chat, options, err);
        xr_chat_free(&chat);
    } else {
        XrIds list = {0};
        const char **paths = NULL;
        int count;
        ok = read_ids(json, ids, m->model->config.vocab, &list, err) &&
             read_paths(json, &paths, &count, err) &&
             xr_prompt_from_ids(out, m, list.data, list.count, paths, count, err);
        xr_ids_free(&list);
        free(paths);
    }
    return ok;
}

static void add_inputs(Outputs *o, const XrPrompt *prompt, const XrBatch *batch) {
    int64_t tokens = batch->input.tokens;
    XR_REQUIRE(tokens == (int64_t)prompt->tokens.ids.count, "a batch of %lld tokens for %zu ids",
               (long long)tokens, prompt->tokens.ids.count);
    int64_t *ids = add_output(o, "input_ids", XR_I64, 1, &tokens);
    for (int64_t i = 0; i < tokens; i++) ids[i] = prompt->tokens.ids.data[i];
    int64_t *wide = add_output(o, "position_ids", XR_I64, 2, (int64_t[]){3, tokens});
    int32_t *positions = xr_malloc(sizeof *positions * 3 * (size_t)tokens);
    xr_download(batch->backend, positions, &batch->input.positions);
    for (int64_t i = 0; i < 3 * tokens; i++) wide[i] = positions[i];
    free(positions);
}

static void add_pictures(Outputs *o, XrBackend *b, const XrPixels *pixels, const XrTensor *images) {
    float *values =
        add_output(o, "pixel_values", XR_F32, 2, (int64_t[]){pixels->rows, pixels->columns});
    memcpy(values, pixels->values, sizeof *values * (size_t)(pixels->rows * pixels->columns));
    int64_t *thw = add_output(o, "image_grid_thw", XR_I64, 2, (int64_t[]){pixels->count, 3});
    for (int64_t i = 0; i < pixels->count; i++) {
        thw[3 * i] = pixels->grids[i].t;
        thw[3 * i + 1] = pixels->grids[i].h;
        thw[3 * i + 2] = pixels->grids[i].w;
    }
    xr_download_f32(b, add_output(o, "image_embeds", XR_F32, 2, images->shape), images);
}

// Logits of the last rows and the log-probability of each next token.
static bool add_results(Outputs *o, const XrModel *model, const XrPrompt *prompt,
                        const XrTensor *hidden, int64_t last, XrError *err) {
    XrBackend *b = model->backend;
    int64_t tokens = hidden->shape[0], pairs = tokens - 1;
    last = XR_MIN(last, tokens);
    XrTensor logits = {0}, logprobs = {0}, targets = {0};
    int64_t shape[2] = {last, model->config.vocab};
    bool ok = xr_tensor_alloc(b, &logits, XR_F32, 2, shape, "logits", err) &&
              xr_tensor_alloc(b, &logprobs, XR_F32, 1, &pairs, "log-probabilities", err) &&
              xr_tensor_alloc(b, &targets, XR_I32, 1, &pairs, "targets", err);
    if (ok) {
        XrTensor rows = xr_rows(hidden, tokens - last, last), states = xr_rows(hidden, 0, pairs);
        xr_language_logits(model, &logits, &rows);
        xr_download(b, add_output(o, "logits", XR_F32, 2, shape), &logits);
        xr_upload(b, &targets, prompt->tokens.ids.data + 1);
        xr_logprob(b, &logprobs, NULL, NULL, NULL, NULL, &states,
                   xr_model_parameter(model, XR_HEAD, 0), &targets, 1.0F);
        xr_download(b, add_output(o, "logprobs", XR_F32, 1, &pairs), &logprobs);
    }
    xr_tensor_free(b, &logits);
    xr_tensor_free(b, &logprobs);
    xr_tensor_free(b, &targets);
    return ok;
}

static bool run_model(const Arguments *a, const XrModel *model, const XrPrompt *prompt, Outputs *o,
                      XrError *err) {
    XrBackend *b = model->backend;
    const XrPixels *pixels = &prompt->pixels;
    XrTensor images = {0};
    XrBatch batch = {0};
    XrLanguageWorkspace *ws = NULL;
    XrPackedSequence sequence = {prompt->tokens.ids.data, (int64_t)prompt->tokens.ids.count,
                                 pixels->grids, (int)pixels->count};
    bool ok = (!pixels->count || xr_vision_forward(model, &images, pixels->values, pixels->grids,
                                                   (int)pixels->count, NULL, err)) &&
              xr_batch_create(&batch, model, &sequence, 1, pixels->count ? &images : NULL, err) &&
              xr_language_workspace_create(&ws, model, sequence.count, XR_KEEP_NOTHING, err);
    if (ok) {
        XrTensor hidden = xr_language_forward(ws, &batch.input, NULL);
        add_inputs(o, prompt, &batch);
        if (pixels->count) add_pictures(o, b, pixels, &images);
        ok = add_results(o, model, prompt, &hidden, a->last, err);
    }
    xr_language_workspace_free(ws);
    xr_batch_free(&batch);
    xr_tensor_free(b, &images);
    return ok;
}

// Known before the model runs, which may take minutes: whether the results can be written.
static bool can_write(const char *path, XrError *err) {
    XrWriter writer;
    if (xr_path_is_folder(path)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: is a folder, --out names a file", path);
    }
    if (!xr_writer_open(&writer, path, err)) return false;
    xr_writer_abort(&writer);
    return true;
}

static bool forward(const Arguments *a, XrBackend *b, XrError *err) {
    XrChatModelOptions options = {
        .weights = xr_weight_type(a->dtype),
        .check_finite = a->check_weights,
        .min_pixels = a->min_pixels,
        .max_pixels = a->max_pixels,
    };
    XrChatModel *m = NULL;
    XrJson json = {0};
    XrPrompt prompt = {0};
    XrBuffer notice = {0};
    Outputs outputs = {0};
    bool ok = can_write(a->out, err) && xr_json_read_file(&json, a->request, &XR_JSON_SMALL, err) &&
              xr_chat_model_open(&m, b, a->model, &options, &notice, err) &&
              prompt_from_request(&prompt, m, &json, err) &&
              run_model(a, m->model, &prompt, &outputs, err) &&
              xr_safetensors_write(a->out, outputs.tensors, outputs.count, err);
    if (notice.length) fprintf(stderr, "%s", notice.data);
    xr_buffer_free(&notice);
    free_outputs(&outputs);
    xr_prompt_free(&prompt);
    xr_chat_model_close(m);
    xr_json_free(&json);
    return ok;
}

int xr_command_forward(int argc, char **argv) {
    Arguments a = {.dtype = "stored", .device = XR_DEVICE_DEFAULT, .last = 1};
    const XrOption options[] = {
        {"request", XR_OPT_TEXT, &a.request, "FILE.json",
         "{\"messages\": [...]} or {\"input_ids\": [...], \"images\": [PATH...]}", NULL, 0, 0},
        {"out", XR_OPT_TEXT, &a.out, "FILE.safetensors", "where inputs and results are written",
         NULL, 0, 0},
        {"last", XR_OPT_INT, &a.last, "K", "logits of the last K positions", NULL, 1, 1e6},
        {"dtype", XR_OPT_TEXT, &a.dtype, "TYPE", "weights: as stored, or converted to f32 or bf16",
         "stored|f32|bf16", 0, 0},
        {"min-pixels", XR_OPT_INT, &a.min_pixels, "N",
         "least area of a resized picture (default: the folder's)", NULL, 1, 1e9},
        {"max-pixels", XR_OPT_INT, &a.max_pixels, "N",
         "largest area of a resized picture (default: the folder's)", NULL, 1, 1e9},
        {"check-weights", XR_OPT_FLAG, &a.check_weights, NULL, "refuse NaN and infinite weights",
         NULL, 0, 0},
        XR_DEVICE_OPTION_ROWS(&a.device),
    };
    const XrCommandLine line = {
        "xreasoner forward MODEL --request FILE.json --out FILE.safetensors [options]",
        "Runs one request through the model and writes, named as transformers names them: "
        "input_ids,\n"
        "position_ids, logits of the last positions, logprobs of each next token and, with "
        "pictures,\n"
        "pixel_values, image_grid_thw and image_embeds.",
        options,
        XR_COUNT(options),
        1,
        1};
    const char *arguments[1];
    int count;
    XrParsed parsed = xr_parse_command_line(&line, argc, argv, arguments, &count);
    if (parsed != XR_PARSED) return parsed == XR_PARSED_HELP ? 0 : 2;
    if (!a.request || !a.out) {
        fprintf(stderr, "xreasoner: --request and --out are needed\nusage: %s\n", line.usage);
        return 2;
    }
    a.model = arguments[0];
    XrError err = {0};
    XrBackend *b = xr_device_open(&a.device, &err);
    bool ok = b && forward(&a, b, &err);
    xr_backend_free(b);
    if (!ok) fprintf(stderr, "xreasoner: %s\n", err.message);
    return ok ? 0 : 1;
}
