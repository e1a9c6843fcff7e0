// xreasoner: Qwen2.5-VL and Qwen2.5 models from C. This header alone is the library's public
// interface; link with `pkg-config --cflags --libs xreasoner`.
//
//   char error[1024];
//   xreasoner *x = xreasoner_open("Qwen2.5-VL-7B-Instruct", NULL, error, sizeof error);
//   const char *picture = "cat.jpg";
//   xreasoner_message message = {"user", "What is this?", &picture, 1};
//   xreasoner_sampling sampling = xreasoner_default_sampling(x);
//   xreasoner_answer answer;
//   if (xreasoner_chat(x, &message, 1, &sampling, NULL, NULL, &answer, error, sizeof error)) {
//       puts(answer.text);
//       xreasoner_answer_free(&answer);
//   }
//   xreasoner_close(x);
//
// Functions that can fail return NULL or 0 and write one line of UTF-8 to `error` (ended by NUL,
// cut to error_bytes): what is wrong, where, and what would mend it. Handles may be used by one
// thread at a time; different handles by different threads.
#ifndef XREASONER_H
#define XREASONER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

const char *xreasoner_version(void);

// ---- a model ----

typedef struct xreasoner xreasoner;

// All zero is the default.
typedef struct xreasoner_options {
    int threads;                    // 0: one a processor
    const char *dtype;              // weights: NULL as stored, or "f32", "bf16"
    int64_t min_pixels, max_pixels; // of a picture after resizing; 0: what the folder says
    size_t cache_bytes;             // for keys and values; 0: chosen
    const char *device; // NULL or "cpu"; "cuda": a GPU, the first of CUDA_VISIBLE_DEVICES
} xreasoner_options;

// Opens a Hugging Face folder; `options` may be NULL. Weights stay memory-mapped unless dtype asks
// for another type. NULL on failure.
xreasoner *xreasoner_open(const char *folder, const xreasoner_options *options, char *error,
                          size_t error_bytes);
void xreasoner_close(xreasoner *x);

// ---- answers ----

// One message of a conversation: pictures (paths of PNG, JPEG or WebP files), then text.
typedef struct xreasoner_message {
    const char *role; // "system", "user" or "assistant"
    const char *text; // UTF-8; never read as control tokens
    const char *const *images;
    int image_count;
} xreasoner_message;

typedef struct xreasoner_sampling {
    double temperature;        // 0: always the most likely token
    int top_k;                 // 0: off
    double top_p;              // 1: off
    double repetition_penalty; // 1: off
    int64_t max_new_tokens;
    int64_t think_budget; // tokens after which open thinking is closed by force; -1: never
    uint64_t seed;
} xreasoner_sampling;

// What the model's folder asks for (generation_config.json); 2,048 new tokens, no budget, seed 0.
xreasoner_sampling xreasoner_default_sampling(const xreasoner *x);

typedef struct xreasoner_answer {
    char *text;                // UTF-8, ended by NUL, without control tokens
    int64_t count;             // of tokens
    int32_t *ids;              // [count]
    float *logprobs;           // [count] log-probabilities under the model at temperature 1
    unsigned char *forced;     // [count] 1: injected by a forced exit from thinking, not sampled
    const char *finish_reason; // "stop", "length" or "forced_exit"; static
    int64_t prompt_count;      // tokens of the prompt
} xreasoner_answer;

// Called with each piece of text as it comes, whole characters; return 0 to stop the answer.
typedef int xreasoner_on_text(void *context, const char *text, size_t bytes);

// Answers a conversation. `on_text` may be NULL. Returns 1 and fills `answer`, to be freed with
// xreasoner_answer_free, or 0. The same arguments give the same answer, bit for bit, whatever the
// number of threads.
int xreasoner_chat(xreasoner *x, const xreasoner_message *messages, int count,
                   const xreasoner_sampling *sampling, xreasoner_on_text *on_text, void *context,
                   xreasoner_answer *answer, char *error, size_t error_bytes);
void xreasoner_answer_free(xreasoner_answer *answer);

// ---- tokens ----

// Encodes UTF-8 text without control tokens; writes at most `capacity` ids and returns how many
// there are in all, or -1.
int64_t xreasoner_tokenize(xreasoner *x, const char *text, size_t bytes, int32_t *ids,
                           int64_t capacity, char *error, size_t error_bytes);

// ---- the verifier ----

// Compares an answer with the gold one: "math", "choice", "text", or NULL to decide by the gold
// answer. With `is_response` the answer is looked for in a whole response. Returns 1 where they are
// equal, else 0; *verdict (may be NULL) receives a static name: "equal", "different", "unknown",
// "unparsed", "unparsed_gold", "over_limit" or "empty".
int xreasoner_verify(const char *gold, const char *answer, int is_response, const char *kind,
                     const char **verdict);

#ifdef __cplusplus
}
#endif

#endif
