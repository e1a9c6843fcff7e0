// The formats in which training data is published.
#include "shared/base/memory.h"
#include "shared/dataset/example.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const cJSON *get(const cJSON *row, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(row, key);
}

static const char *text_of(const cJSON *row, const char *key) {
    const cJSON *value = get(row, key);
    return cJSON_IsString(value) ? value->valuestring : NULL;
}

static bool wrong(const XrJson *json, const char *key, const char *wanted, XrError *err) {
    return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" must be %s", json->name, key, wanted);
}

// The text under a key that must be there.
static bool need(const XrJson *json, const cJSON *row, const char *key, char **out, XrError *err) {
    const char *text = text_of(row, key);
    if (!text) return wrong(json, key, "a text", err);
    *out = xr_strdup(text);
    return true;
}

// A text, or a number as it would be written.
static bool need_answer(const XrJson *json, const cJSON *value, const char *key, char **out,
                        XrError *err) {
    if (cJSON_IsString(value)) {
        *out = xr_strdup(value->valuestring);
        return true;
    }
    if (!cJSON_IsNumber(value)) return wrong(json, key, "a text or a number", err);
    char *printed = cJSON_PrintUnformatted(value);
    *out = xr_strdup(printed);
    cJSON_free(printed);
    return true;
}

// The row's own name, where it has one.
static void copy_id(const cJSON *row, XrExample *out) {
    static const char *const keys[] = {"id", "unique_id", "question_id"};
    for (size_t i = 0; i < XR_COUNT(keys) && !out->id; i++) {
        const cJSON *value = get(row, keys[i]);
        int64_t whole;
        if (cJSON_IsString(value)) {
            out->id = xr_strdup(value->valuestring);
        } else if (value && xr_json_whole(value, &whole)) {
            XrBuffer text = {0};
            xr_buffer_format(&text, "%lld", (long long)whole);
            out->id = text.data;
        }
    }
}

static char *trimmed(const char *from, size_t bytes) {
    while (bytes && isspace((unsigned char)*from)) from++, bytes--;
    while (bytes && isspace((unsigned char)from[bytes - 1])) bytes--;
    return xr_strndup(from, bytes);
}

// "<think>\nTHOUGHT\n</think>\n<answer> ANSWER </answer>", as the paper's prompts ask for.
static char *reasoned(const char *thought, const char *answer) {
    XrBuffer text = {0};
    xr_buffer_format(&text, "<think>\n%s\n</think>\n<answer> %s </answer>", thought, answer);
    return text.data;
}

// ---- messages: {"messages": [{"role", "content"}, ...]} ----

static bool messages_match(const cJSON *row) {
    return cJSON_IsArray(get(row, "messages"));
}

// A misspelt role would be rendered like any other, and an answer under it never learnt.
static bool add_messages(const XrJson *json, const cJSON *messages, XrExample *out, XrError *err) {
    int first = out->chat.count;
    if (!xr_chat_add_json(&out->chat, json, messages, err)) return false;
    for (int i = first; i < out->chat.count; i++) {
        const char *role = out->chat.messages[i].role;
        if (!xr_chat_knows_role(role)) {
            return xr_fail(err, XR_ERR_INPUT,
                           "%s: messages[%d]: role \"%.40s\": must be system, user, assistant or "
                           "tool",
                           json->name, i - first, role);
        }
    }
    return true;
}

static bool messages_convert(const XrJson *json, const cJSON *row, XrExample *out, XrError *err) {
    return add_messages(json, get(row, "messages"), out, err);
}

// ---- prompt_completion: {"prompt": TEXT or messages, "completion": TEXT or messages} ----

static bool pair_matches(const cJSON *row) {
    return get(row, "prompt") && get(row, "completion");
}

static bool add_side(const XrJson *json, const cJSON *value, const char *role, XrExample *out,
                     XrError *err) {
    if (cJSON_IsArray(value)) return add_messages(json, value, out, err);
    if (!cJSON_IsString(value))
        return wrong(json, "prompt and completion", "texts or messages", err);
    xr_chat_add_message(&out->chat, role);
    xr_chat_add_text(&out->chat, value->valuestring, strlen(value->valuestring));
    return true;
}

static bool pair_convert(const XrJson *json, const cJSON *row, XrExample *out, XrError *err) {
    copy_id(row, out);
    return add_side(json, get(row, "prompt"), "user", out, err) &&
           add_side(json, get(row, "completion"), "assistant", out, err);
}

// ---- openthoughts: {"system", "conversations": [{"from", "value"}, ...]} ----

static bool conversations_match(const cJSON *row) {
    return cJSON_IsArray(get(row, "conversations"));
}

// Takes "<blank>BEGIN text END" off *at: the text, trimmed; NULL where that does not stand there.
static char *take_section(const char **at, const char *begin, const char *end) {
    const char *from = *at;
    while (isspace((unsigned char)*from)) from++;
    if (strncmp(from, begin, strlen(begin)) != 0) return NULL;
    from += strlen(begin);
    const char *to = strstr(from, end);
    if (!to) return NULL;
    *at = to + strlen(end);
    return trimmed(from, (size_t)(to - from));
}

static bool has_thought(const char *text) {
    return strstr(text, "<|begin_of_thought|>") || strstr(text, "<|begin_of_solution|>");
}

// OpenThoughts' thought and solution become <think> and <answer>; a text without such marks stays
// as it is, and one that has not both sections and nothing else is an error.
static bool open_thoughts_answer(const XrJson *json, const char *text, char **out, XrError *err) {
    if (!has_thought(text)) {
        *out = xr_strdup(text);
        return true;
    }
    const char *at = text;
    char *thought = take_section(&at, "<|begin_of_thought|>", "<|end_of_thought|>");
    char *solution =
        thought ? take_section(&at, "<|begin_of_solution|>", "<|end_of_solution|>") : NULL;
    while (isspace((unsigned char)*at)) at++;
    bool whole = solution && !*at;
    *out = whole ? reasoned(thought, solution) : NULL;
    free(thought);
    free(solution);
    if (!whole) {
        wrong(json, "conversations",
              "answers of one <|begin_of_thought|> ... <|end_of_thought|> and one "
              "<|begin_of_solution|> ... <|end_of_solution|>, with nothing outside",
              err);
    }
    return whole;
}

static const char *role_of(const char *from) {
    if (strcmp(from, "human") == 0) return "user";
    if (strcmp(from, "gpt") == 0) return "assistant";
    return from;
}

// A question and one answer, with OpenThoughts' markers: the question goes into a template, and its
// system message, which asks for the markers, is left out. Other conversations stay as they are.
static bool conversations_convert(const XrJson *json, const cJSON *row, XrExample *out,
                                  XrError *err) {
    const cJSON *turns = get(row, "conversations"), *turn;
    copy_id(row, out);
    const char *last = NULL;
    cJSON_ArrayForEach(turn, turns) {
        if (!text_of(turn, "from") || !text_of(turn, "value")) {
            return wrong(json, "conversations", "a list of {\"from\": TEXT, \"value\": TEXT}", err);
        }
        last = text_of(turn, "value");
    }
    bool thoughts = last && has_thought(last);
    if (!cJSON_IsArray(turns) || !last) return wrong(json, "conversations", "a list of turns", err);
    if (thoughts && cJSON_GetArraySize(turns) == 2) {
        out->question = xr_strdup(text_of(turns->child, "value"));
        return open_thoughts_answer(json, last, &out->response, err);
    }
    const char *system = text_of(row, "system");
    if (system && !thoughts) {
        xr_chat_add_message(&out->chat, "system");
        xr_chat_add_text(&out->chat, system, strlen(system));
    }
    cJSON_ArrayForEach(turn, turns) {
        const char *role = role_of(text_of(turn, "from")), *value = text_of(turn, "value");
        char *answer = NULL;
        bool answers = strcmp(role, "assistant") == 0;
        if (answers && !open_thoughts_answer(json, value, &answer, err)) return false;
        if (answers) value = answer;
        xr_chat_add_message(&out->chat, role);
        xr_chat_add_text(&out->chat, value, strlen(value));
        free(answer);
    }
    return true;
}

// ---- gsm8k: {"question", "answer": "... #### 42"} ----

static bool gsm8k_matches(const cJSON *row) {
    const char *answer = text_of(row, "answer");
    return text_of(row, "question") && answer && strstr(answer, "\n#### ");
}

char *xr_gsm8k_solution(const char *from, size_t bytes) {
    XrBuffer plain = {0};
    for (size_t i = 0; i < bytes;) {
        const char *end = bytes - i > 4 && from[i] == '<' && from[i + 1] == '<'
                              ? memmem(from + i, bytes - i, ">>", 2)
                              : NULL;
        if (end)
            i = (size_t)(end - from) + 2;
        else
            xr_buffer_byte(&plain, from[i++]);
    }
    char *text = trimmed(plain.data ? plain.data : "", plain.length);
    xr_buffer_free(&plain);
    return text;
}

static bool gsm8k_convert(const XrJson *json, const cJSON *row, XrExample *out, XrError *err) {
    const char *answer = text_of(row, "answer");
    const char *mark = answer ? strstr(answer, "#### ") : NULL;
    if (!mark) return wrong(json, "answer", "a solution that ends in \"#### NUMBER\"", err);
    if (!need(json, row, "question", &out->question, err)) return false;
    char *thought = xr_gsm8k_solution(answer, (size_t)(mark - answer));
    out->gold = trimmed(mark + 5, strlen(mark + 5));
    out->response = reasoned(thought, out->gold);
    free(thought);
    return true;
}

// ---- orz: [{"from": "human", "value"}, {"from": "assistant", "ground_truth": {"value"}}] ----

static bool orz_matches(const cJSON *row) {
    return cJSON_IsArray(row) && cJSON_GetArraySize(row) == 2 &&
           get(cJSON_GetArrayItem(row, 1), "ground_truth");
}

static bool orz_convert(const XrJson *json, const cJSON *row, XrExample *out, XrError *err) {
    const cJSON *truth = get(cJSON_GetArrayItem(row, 1), "ground_truth");
    return need(json, row->child, "value", &out->question, err) &&
           need_answer(json, get(truth, "value"), "ground_truth.value", &out->gold, err);
}

// ---- orz_eval: {"prompt": [{"from": "user", "value"}], "final_answer"} ----

static bool orz_eval_matches(const cJSON *row) {
    return cJSON_IsArray(get(row, "prompt")) && get(row, "final_answer");
}

static bool orz_eval_convert(const XrJson *json, const cJSON *row, XrExample *out, XrError *err) {
    const cJSON *prompt = get(row, "prompt");
    if (!cJSON_IsArray(prompt) || !prompt->child) return wrong(json, "prompt", "a list", err);
    return need(json, prompt->child, "value", &out->question, err) &&
           need_answer(json, get(row, "final_answer"), "final_answer", &out->gold, err);
}

// ---- question_answer: question or problem; answer, gold, label, final_answer ...; options ----

static const cJSON *first_of(const cJSON *row, const char *const *keys, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const cJSON *value = get(row, keys[i]);
        if (value && !cJSON_IsNull(value)) return value;
    }
    return NULL;
}

static const char *const QUESTION_KEYS[] = {"question", "problem", "input", "prompt"};
static const char *const GOLD_KEYS[] = {"answer_idx", "gold", "label", "final_answer", "answer"};

static bool question_matches(const cJSON *row) {
    return cJSON_IsString(first_of(row, QUESTION_KEYS, XR_COUNT(QUESTION_KEYS))) &&
           first_of(row, GOLD_KEYS, XR_COUNT(GOLD_KEYS));
}

// A list of texts, or an object that maps letters to texts.
static bool read_options(const XrJson *json, const cJSON *options, XrExample *out, XrError *err) {
    const cJSON *option;
    if (!options || cJSON_IsNull(options)) return true;
    cJSON_ArrayForEach(option, options) {
        bool letter = !option->string ||
                      (option->string[0] == 'A' + out->option_count && option->string[1] == '\0');
        if (!cJSON_IsString(option) || !letter || out->option_count == XR_EXAMPLE_MOST_OPTIONS) {
            return wrong(json, "options", "a list of at most 26 texts, or texts under A, B, C ...",
                         err);
        }
        out->options[out->option_count++] = xr_strdup(option->valuestring);
    }
    return true;
}

static bool read_images(const XrJson *json, const cJSON *row, XrExample *out, XrError *err) {
    const cJSON *images = get(row, "images"), *image = get(row, "image");
    if (!images && !image) return true;
    const cJSON *item = images ? images->child : image;
    for (; item; item = images ? item->next : NULL) {
        if (!cJSON_IsString(item) || out->image_count == (int)XR_COUNT(out->images)) {
            return wrong(json, images ? "images" : "image", "paths of at most 16 pictures", err);
        }
        out->images[out->image_count++] = xr_strdup(item->valuestring);
    }
    return true;
}

static bool question_convert(const XrJson *json, const cJSON *row, XrExample *out, XrError *err) {
    const cJSON *question = first_of(row, QUESTION_KEYS, XR_COUNT(QUESTION_KEYS));
    const cJSON *gold = first_of(row, GOLD_KEYS, XR_COUNT(GOLD_KEYS));
    copy_id(row, out);
    if (!cJSON_IsString(question)) return wrong(json, "question", "a text", err);
    if (!gold) return wrong(json, "answer", "there", err);
    out->question = xr_strdup(question->valuestring);
    if (!need_answer(json, gold, "answer", &out->gold, err) ||
        !read_options(json, get(row, "options"), out, err) || !read_images(json, row, out, err)) {
        return false;
    }
    // Without reasoning there is the answer alone to imitate: the paper's ablation.
    XrBuffer response = {0};
    xr_buffer_format(&response, "<answer> %s </answer>", out->gold);
    out->response = response.data;
    return true;
}

static const XrFormat FORMATS[] = {
    {"messages", "{\"messages\": [{\"role\", \"content\"}, ...]}: learnt as they are",
     messages_match, messages_convert},
    {"prompt_completion", "{\"prompt\", \"completion\"}, texts or messages", pair_matches,
     pair_convert},
    {"openthoughts", "{\"system\", \"conversations\": [{\"from\", \"value\"}, ...]}",
     conversations_match, conversations_convert},
    {"gsm8k", "{\"question\", \"answer\": \"... #### NUMBER\"}", gsm8k_matches, gsm8k_convert},
    {"orz", "[{\"from\", \"value\"}, {\"from\", \"ground_truth\": {\"value\"}}]", orz_matches,
     orz_convert},
    {"orz_eval", "{\"prompt\": [{\"from\", \"value\"}], \"final_answer\"}", orz_eval_matches,
     orz_eval_convert},
    {"question_answer",
     "{\"question\" or \"problem\", \"answer\" or \"answer_idx\" or \"label\", maybe \"options\"}: "
     "to "
     "imitate, the answer without reasoning",
     question_matches, question_convert},
};

const XrFormat *xr_formats(int *count) {
    *count = (int)XR_COUNT(FORMATS);
    return FORMATS;
}

const XrFormat *xr_format_find(const char *name, const cJSON *row, const char *source,
                               XrError *err) {
    bool automatic = strcmp(name, "auto") == 0;
    XrBuffer names = {0};
    const XrFormat *found = NULL;
    for (size_t i = 0; i < XR_COUNT(FORMATS) && !found; i++) {
        if (automatic ? FORMATS[i].matches(row) : strcmp(FORMATS[i].name, name) == 0) {
            found = &FORMATS[i];
        }
        xr_buffer_format(&names, "%s%s", i ? ", " : "", FORMATS[i].name);
    }
    if (!found && automatic) {
        xr_fail(err, XR_ERR_INPUT,
                "%s: the first row is of none of the formats %s; name one with "
                "\"format\"",
                source, names.data);
    } else if (!found) {
        xr_fail(err, XR_ERR_INPUT, "%s: there is no format \"%s\"; known are auto, %s", source,
                name, names.data);
    }
    xr_buffer_free(&names);
    return found;
}
