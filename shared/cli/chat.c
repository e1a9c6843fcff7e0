// xreasoner chat: answers to text and pictures, one prompt or a conversation.
#include "shared/cli/commands.h"
#include "shared/cli/device.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/base/utf8.h"
#include "shared/cli/answer.h"
#include "shared/cli/chat_terminal.h"
#include "shared/cli/conversation.h"
#include "shared/base/interrupt.h"
#include "shared/tensor/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_PROMPT = 16 << 20, // bytes
    DEFAULT_TOKENS = 2048,
    DEFAULT_ANSWER = 1024, // after a forced exit
    EXIT_ROOM = 64,        // tokens of the injected text, at most
    MOST_SAMPLES = 4096,
};

typedef struct Arguments {
    const char *model, *system, *prompt, *dtype, *think_start, *think_suffix;
    XrTextList images, stop;
    int64_t max_new_tokens, top_k, think_budget, answer_budget, num_samples, seed;
    int64_t min_pixels, max_pixels;
    double temperature, top_p, repetition_penalty;
    bool json, check_weights;
    XrDevice device;
} Arguments;

typedef struct Chat {
    const Arguments *arguments;
    XrChatModel *model;
    XrEngine *engine;
    XrConversation conversation;
    XrRequest request; // what all turns have in common
    int32_t stop_ids[XR_MAX_EOS];
    double load_seconds;
} Chat;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// What the folder asks for, changed by what the command line does.
static XrSampling sampling_of(const Arguments *a, const XrGenerationConfig *folder) {
    XrGenerationConfig g = *folder;
    if (a->top_k >= 0 || !isnan(a->top_p)) g.sample = true;
    if (!isnan(a->temperature)) {
        g.sample = a->temperature > 0;
        g.temperature = a->temperature;
    }
    if (a->top_k >= 0) g.top_k = a->top_k;
    if (!isnan(a->top_p)) g.top_p = a->top_p;
    if (!isnan(a->repetition_penalty)) g.repetition_penalty = a->repetition_penalty;
    XrSampling sampling = xr_sampling_of(&g);
    sampling.seed = (uint64_t)a->seed;
    return sampling;
}

static int64_t tokens_of(const Arguments *a, const XrGenerationConfig *folder) {
    if (a->max_new_tokens > 0) return a->max_new_tokens;
    int64_t tokens = folder->max_new_tokens > 0 ? folder->max_new_tokens : DEFAULT_TOKENS;
    if (a->think_budget < 0) return tokens;
    int64_t answer = a->answer_budget >= 0 ? a->answer_budget : DEFAULT_ANSWER;
    return XR_MAX(tokens, a->think_budget + answer + EXIT_ROOM);
}

// Everything but the prompt.
static void make_request(Chat *chat) {
    const Arguments *a = chat->arguments;
    const XrGenerationConfig *folder = &chat->model->generation;
    for (int i = 0; i < folder->eos_count; i++) chat->stop_ids[i] = (int32_t)folder->eos[i];
    chat->request = xr_request_default();
    chat->request.samples = (int)a->num_samples;
    chat->request.sampling = sampling_of(a, folder);
    chat->request.max_new_tokens = tokens_of(a, folder);
    chat->request.stop_ids = chat->stop_ids;
    chat->request.stop_id_count = folder->eos_count;
    chat->request.suppress = chat->model->unspoken;
    chat->request.suppress_count = chat->model->unspoken_count;
    chat->request.stop_strings = a->stop.items;
    chat->request.stop_string_count = a->stop.count;
    chat->request.think = (XrThinkLimits){
        .budget = a->think_budget,
        .answer_budget = a->answer_budget,
        .start = strcmp(a->think_start, "tag") == 0 ? XR_THINK_WHEN_OPENED : XR_THINK_FROM_START,
        .suffix = a->think_suffix,
    };
    if (a->num_samples > 1 && chat->request.sampling.temperature < 0.01F) {
        fprintf(stderr,
                "xreasoner: at temperature %g all samples are alike; --temperature 1 makes "
                "them differ\n",
                (double)chat->request.sampling.temperature);
    }
}

// A cache for the prompt and all its samples, as far as the engine's own limit allows.
static bool make_engine(Chat *chat, bool conversation, XrError *err) {
    const XrModel *model = chat->model->model;
    int64_t samples = chat->arguments->num_samples;
    XrEngineConfig config = {.max_sequences = (int)XR_MIN(samples, 64)};
    int64_t prompt = (int64_t)chat->conversation.ids.count;
    int64_t tokens = prompt + samples * (chat->request.max_new_tokens + (int64_t)2 * XR_KV_PAGE);
    size_t memory = model->backend->memory(model->backend) / 4;
    size_t bytes = xr_engine_page_bytes(model) * (size_t)(tokens / XR_KV_PAGE + 1);
    if (!conversation && bytes < memory) config.cache_bytes = bytes;
    return xr_engine_create(&chat->engine, model, chat->model->tokenizer, &config, err);
}

// Answers what the conversation holds. Returns the response, or NULL with an error.
static XrResponse *answer(Chat *chat, XrError *err) {
    XrAnswer output;
    XrRequest r = chat->request;
    const XrConversation *c = &chat->conversation;
    r.prompt = c->ids.data;
    r.prompt_count = (int64_t)c->ids.count;
    r.pixels = c->pixels.values;
    r.grids = c->pixels.grids;
    r.picture_count = (int)c->pixels.count;
    r.on_piece = xr_answer_piece;
    r.context = &output;
    if (!xr_engine_add(chat->engine, &r, err)) return NULL;
    xr_answer_start(&output, &r, chat->arguments->json, chat->load_seconds);
    do {
        if (xr_interrupted()) xr_engine_cancel(chat->engine, r.id);
    } while (xr_engine_step(chat->engine));
    XrResponse *response = xr_engine_take(chat->engine);
    xr_answer_finish(&output, response);
    if (response->error.status == XR_OK) return response;
    *err = response->error;
    xr_response_free(response);
    return NULL;
}

static bool answer_once(Chat *chat, const char *prompt, size_t bytes, XrError *err) {
    const XrTextList *images = &chat->arguments->images;
    if (!xr_conversation_ask(&chat->conversation, prompt, bytes, images->items, images->count,
                             err) ||
        !make_engine(chat, false, err)) {
        return false;
    }
    XrResponse *response = answer(chat, err);
    if (!response) return false;
    xr_response_free(response);
    return !xr_interrupted() || xr_fail(err, XR_ERR_INTERRUPTED, "interrupted");
}

// ---- a conversation
// -------------------------------------------------------------------------------

static const char HELP[] = "/image FILE  show a picture with the next message\n"
                           "/reset       start anew\n"
                           "/quit        end (so do Ctrl-D, and Ctrl-C on an empty line)\n"
                           "/help        this text\n"
                           "Ctrl-C stops an answer, or gives up a line.\n";

typedef struct Pending {
    char **items;
    int count;
} Pending;

static void add_pending(Pending *p, const char *path) {
    p->items = (char **)xr_realloc((void *)p->items, sizeof *p->items * (size_t)(p->count + 1));
    p->items[p->count++] = xr_strdup(path);
}

static void clear_pending(Pending *p) {
    for (int i = 0; i < p->count; i++) free(p->items[i]);
    free((void *)p->items);
    *p = (Pending){0};
}

// One message and its answer; what goes wrong is said, and the conversation is as before.
static bool take_turn(Chat *chat, const XrBuffer *line, Pending *pictures) {
    XrConversation *c = &chat->conversation;
    XrError err = {0};
    size_t ids = c->ids.count;
    int64_t shown = c->pixels.count;
    XrResponse *response = NULL;
    bool ok = xr_conversation_ask(c, line->data, line->length, (const char *const *)pictures->items,
                                  pictures->count, &err);
    clear_pending(pictures);
    if (ok) response = answer(chat, &err);
    if (response) {
        xr_conversation_answer(c, response->samples[0].ids, response->samples[0].count);
        xr_response_free(response);
    } else {
        xr_conversation_cut(c, ids, shown);
        fprintf(stderr, "xreasoner: %s\n", err.message);
    }
    return response != NULL;
}

// The path that a person typed, to be freed: without blanks around it and quotes, with which
// terminals paste dropped files, and with ~ for the home folder.
static char *typed_path(const char *text) {
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length && strchr(" \t", text[length - 1])) length--;
    bool quoted = length > 1 && strchr("'\"", text[0]) && text[length - 1] == text[0];
    char *path = xr_strndup(text + quoted, length - (quoted ? 2 : 0));
    const char *home = getenv("HOME");
    if (quoted || strncmp(path, "~/", 2) != 0 || !home) return path;
    char *full = xr_path_join(home, path + 2);
    free(path);
    return full;
}

static void take_image(const char *text, Pending *pictures) {
    char *path = typed_path(text);
    XrMapping file = {0};
    XrError err;
    if (!*path)
        fputs("xreasoner: which file? /image FILE\n", stderr);
    else if (!xr_file_map(path, &file, &err))
        fprintf(stderr, "xreasoner: %s\n", xr_utf8_shown(err.message));
    else
        add_pending(pictures, path);
    xr_file_unmap(&file);
    free(path);
}

// Carries out a line that starts with '/'; false ends the conversation.
static bool obey(Chat *chat, const char *line, Pending *pictures) {
    if (strcmp(line, "/quit") == 0 || strcmp(line, "/exit") == 0) return false;
    if (strcmp(line, "/help") == 0) {
        fputs(HELP, stderr);
    } else if (strcmp(line, "/reset") == 0) {
        xr_conversation_cut(&chat->conversation, 0, 0);
        clear_pending(pictures);
    } else if (strncmp(line, "/image", 6) == 0 && strchr(" \t", line[6])) {
        take_image(line + 6, pictures);
    } else {
        fprintf(stderr, "xreasoner: unknown command %s; /help lists them\n", xr_utf8_shown(line));
    }
    return true;
}

static bool converse(Chat *chat, XrError *err) {
    if (!make_engine(chat, true, err)) return false;
    chat->request.keep = true;
    XrChatTerminal *terminal = xr_chat_terminal_open();
    bool edited = xr_chat_terminal_is_edited(terminal), all_answered = true;
    if (edited) fprintf(stderr, "/help lists commands\n");
    XrBuffer line = {0};
    Pending pictures = {0};
    const XrTextList *images = &chat->arguments->images;
    for (int i = 0; i < images->count; i++) add_pending(&pictures, images->items[i]);
    int got;
    while ((got = xr_chat_terminal_read(terminal, &line, err)) > 0) {
        if (line.length == 0) continue;
        if (line.data[0] != '/')
            all_answered &= take_turn(chat, &line, &pictures);
        else if (!obey(chat, line.data, &pictures))
            break;
        if (xr_interrupted() && !edited) break;
        xr_interrupt_clear();
    }
    clear_pending(&pictures);
    xr_buffer_free(&line);
    xr_chat_terminal_close(terminal);
    if (got < 0) return false;
    return edited || all_answered || xr_fail(err, XR_ERR_INPUT, "a message was not answered");
}

// ---- the command
// ----------------------------------------------------------------------------------

static bool read_all(FILE *file, XrBuffer *out, XrError *err) {
    char chunk[65536];
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, file)) > 0;) {
        xr_buffer_append(out, chunk, got);
        if (out->length > MOST_PROMPT) {
            return xr_fail(err, XR_ERR_LIMIT, "standard input: the prompt has over %d bytes",
                           MOST_PROMPT);
        }
    }
    if (ferror(file)) return xr_fail(err, XR_ERR_IO, "standard input: cannot be read");
    while (out->length && strchr("\r\n", out->data[out->length - 1])) out->length--;
    return true;
}

static bool run(const Arguments *a, XrBackend *b, XrError *err) {
    double begin = now();
    XrChatModelOptions options = {
        .weights = xr_weight_type(a->dtype),
        .check_finite = a->check_weights,
        .min_pixels = a->min_pixels,
        .max_pixels = a->max_pixels,
    };
    Chat chat = {.arguments = a};
    XrBuffer notice = {0}, text = {0};
    bool from_stdin = a->prompt && strcmp(a->prompt, "-") == 0;
    bool ok = xr_chat_model_open(&chat.model, b, a->model, &options, &notice, err);
    if (notice.length) fprintf(stderr, "%s", notice.data);
    if (ok && from_stdin) ok = read_all(stdin, &text, err);
    if (ok) {
        if (a->prompt && !from_stdin) xr_buffer_text(&text, a->prompt);
        xr_buffer_reserve(&text, 0);
        chat.conversation = (XrConversation){.model = chat.model, .system = a->system};
        make_request(&chat);
        chat.load_seconds = now() - begin;
        xr_interrupt_watch();
        ok = a->prompt ? answer_once(&chat, text.data, text.length, err) : converse(&chat, err);
    }
    xr_conversation_free(&chat.conversation);
    xr_engine_free(chat.engine);
    xr_chat_model_close(chat.model);
    xr_buffer_free(&notice);
    xr_buffer_free(&text);
    return ok;
}

static bool arguments_fit(const Arguments *a, const char *usage) {
    const char *wrong = NULL;
    if (a->answer_budget >= 0 && a->think_budget < 0)
        wrong = "--answer-budget needs --think-budget";
    if (!a->prompt && a->num_samples > 1) wrong = "--num-samples needs --prompt";
    for (int i = 0; i < a->stop.count; i++) {
        if (!*a->stop.items[i]) wrong = "--stop is empty";
    }
    if (wrong) fprintf(stderr, "xreasoner: %s\nusage: %s\n", wrong, usage);
    return !wrong;
}

enum { OPTIONS = 20 + XR_DEVICE_OPTIONS };

static void list_options(Arguments *a, XrOption out[OPTIONS]) {
    const XrOption options[OPTIONS] = {
        {"prompt", XR_OPT_TEXT, &a->prompt, "TEXT", "answer this and end; - reads standard input",
         NULL, 0, 0},
        {"image", XR_OPT_LIST, &a->images, "FILE", "a picture before the prompt; may be repeated",
         NULL, 0, 0},
        {"system", XR_OPT_TEXT, &a->system, "TEXT", "system message (default: the template's)",
         NULL, 0, 0},
        {"max-new-tokens", XR_OPT_INT, &a->max_new_tokens, "N",
         "most tokens of an answer (default: the folder's, else 2048)", NULL, 1, 1e9},
        {"temperature", XR_OPT_DOUBLE, &a->temperature, "X",
         "0: the likeliest token (default: the folder's)", NULL, 0, 1e6},
        {"top-p", XR_OPT_DOUBLE, &a->top_p, "X", "nucleus sampling (default: the folder's)", NULL,
         0, 1},
        {"top-k", XR_OPT_INT, &a->top_k, "N", "0: off (default: the folder's)", NULL, 0, 1e9},
        {"repetition-penalty", XR_OPT_DOUBLE, &a->repetition_penalty, "X",
         "1: off (default: the folder's)", NULL, 1e-3, 1e3},
        {"think-budget", XR_OPT_INT, &a->think_budget, "N",
         "close thinking with </think> after N tokens (default: never)", NULL, 0, 1e9},
        {"answer-budget", XR_OPT_INT, &a->answer_budget, "N",
         "tokens kept for the answer after that (default: what is left)", NULL, 0, 1e9},
        {"think-start", XR_OPT_TEXT, &a->think_start, "WHEN",
         "thinking starts with the response, or with <think>", "response|tag", 0, 0},
        {"think-suffix", XR_OPT_TEXT, &a->think_suffix, "TEXT",
         "what follows a forced </think> (default: an empty line)", NULL, 0, 0},
        {"stop", XR_OPT_LIST, &a->stop, "TEXT", "end before this text; may be repeated", NULL, 0,
         0},
        {"num-samples", XR_OPT_INT, &a->num_samples, "N", "answers to the prompt", NULL, 1,
         MOST_SAMPLES},
        {"seed", XR_OPT_INT, &a->seed, "N", "of the random numbers", NULL, 0, 9e18},
        {"json", XR_OPT_FLAG, &a->json, NULL, "one JSON object a sample", NULL, 0, 0},
        {"dtype", XR_OPT_TEXT, &a->dtype, "TYPE", "weights: as stored, or converted to f32 or bf16",
         "stored|f32|bf16", 0, 0},
        {"min-pixels", XR_OPT_INT, &a->min_pixels, "N",
         "least area of a resized picture (default: the folder's)", NULL, 1, 1e9},
        {"max-pixels", XR_OPT_INT, &a->max_pixels, "N",
         "largest area of a resized picture (default: the folder's)", NULL, 1, 1e9},
        {"check-weights", XR_OPT_FLAG, &a->check_weights, NULL, "refuse NaN and infinite weights",
         NULL, 0, 0},
        XR_DEVICE_OPTION_ROWS(&a->device),
    };
    memcpy(out, options, sizeof options);
}

int xr_command_chat(int argc, char **argv) {
    Arguments a = {.dtype = "stored",
                   .device = XR_DEVICE_DEFAULT,
                   .think_start = "response",
                   .max_new_tokens = -1,
                   .top_k = -1,
                   .think_budget = -1,
                   .answer_budget = -1,
                   .num_samples = 1,
                   .temperature = NAN,
                   .top_p = NAN,
                   .repetition_penalty = NAN};
    XrOption options[OPTIONS];
    list_options(&a, options);
    const XrCommandLine line = {
        "xreasoner chat MODEL [--prompt TEXT] [--image FILE]... [options]",
        "Answers with the model of a Hugging Face folder: one prompt, streamed to standard output, "
        "or,\nwithout --prompt, a conversation on the terminal (/help lists its commands). "
        "Sampling "
        "is as\ngeneration_config.json says unless options change it.",
        options,
        OPTIONS,
        1,
        1};
    const char *arguments[1];
    int count;
    XrParsed parsed = xr_parse_command_line(&line, argc, argv, arguments, &count);
    bool fits = parsed == XR_PARSED && arguments_fit(&a, line.usage);
    XrError err = {0};
    bool ok = false;
    if (fits) {
        a.model = arguments[0];
        XrBackend *b = xr_device_open(&a.device, &err);
        ok = b && run(&a, b, &err);
        xr_backend_free(b);
    }
    free((void *)a.images.items);
    free((void *)a.stop.items);
    if (!fits) return parsed == XR_PARSED_HELP ? 0 : 2;
    if (!ok) fprintf(stderr, "xreasoner: %s\n", err.message);
    return ok ? 0 : 1;
}
