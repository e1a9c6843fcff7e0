#include "shared/train/run_config.h"

#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/base/names.h"
#include "shared/train/foreign_keys.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum Kind { KEY_TEXT, KEY_INT, KEY_REAL, KEY_BOOL, KEY_DATASETS } Kind;

typedef struct Key {
    const char *name;
    Kind kind;
    int commands;
    size_t offset;
    const char *text, *choices; // default and choices of a text
    double value, grpo;         // defaults of a number
    double least, most;
    const char *help;
} Key;

#define FIELD(name) offsetof(XrRunConfig, name)
#define TEXT_ROW(name, commands, value, choices, help)                                             \
    {#name, KEY_TEXT, commands, FIELD(name), value, choices, 0, 0, 0, 0, help},
#define INT_ROW(name, commands, value, grpo, least, most, help)                                    \
    {#name, KEY_INT, commands, FIELD(name), NULL, NULL, value, grpo, least, most, help},
#define REAL_ROW(name, commands, value, grpo, least, most, help)                                   \
    {#name, KEY_REAL, commands, FIELD(name), NULL, NULL, value, grpo, least, most, help},
#define BOOL_ROW(name, commands, value, help)                                                      \
    {#name, KEY_BOOL, commands, FIELD(name), NULL, NULL, value, value, 0, 0, help},
#define DATASET_ROW(name, commands, help)                                                          \
    {#name, KEY_DATASETS, commands, FIELD(name), NULL, NULL, 0, 0, 0, 0, help},

static const Key KEYS[] = {
    XR_RUN_KEYS(TEXT_ROW, INT_ROW, REAL_ROW, BOOL_ROW)
        DATASET_ROW(train_dataset, XR_RUN_TRAIN | XR_RUN_DISTILL,
                    "[{\"path\": FILE, \"format\": NAME, \"limit\": N, \"skip\": N}, ...]")
            DATASET_ROW(eval_dataset, XR_RUN_TRAIN | XR_RUN_EVAL,
                        "the same, for evaluation; of eval, format is a benchmark's name, and "
                        "\"images\" a folder")
                DATASET_ROW(fewshot_dataset, XR_RUN_EVAL,
                            "the same: where the worked examples of benchmarks come from")};

static void *field(const XrRunConfig *config, const Key *key) {
    return (char *)config + key->offset;
}

static const char *command_name(int command) {
    return command == XR_RUN_SFT       ? "sft"
           : command == XR_RUN_GRPO    ? "grpo"
           : command == XR_RUN_DISTILL ? "distill"
                                       : "eval";
}

void xr_run_config_init(XrRunConfig *config, int command) {
    *config = (XrRunConfig){.command = command};
    for (size_t i = 0; i < XR_COUNT(KEYS); i++) {
        const Key *k = &KEYS[i];
        double value = command == XR_RUN_GRPO ? k->grpo : k->value;
        switch (k->kind) {
        case KEY_TEXT:
            *(char **)field(config, k) = k->text ? xr_strdup(k->text) : NULL;
            break;
        case KEY_INT:
            *(int64_t *)field(config, k) = (int64_t)value;
            break;
        case KEY_REAL:
            *(double *)field(config, k) = value;
            break;
        case KEY_BOOL:
            *(bool *)field(config, k) = value != 0;
            break;
        case KEY_DATASETS:
            break;
        }
    }
}

static void free_datasets(XrDatasetList *list) {
    for (int i = 0; i < list->count; i++) {
        free(list->items[i].path);
        free(list->items[i].format);
        free(list->items[i].images);
    }
    free(list->items);
    *list = (XrDatasetList){0};
}

void xr_run_config_free(XrRunConfig *config) {
    for (size_t i = 0; i < XR_COUNT(KEYS); i++) {
        if (KEYS[i].kind == KEY_TEXT) free(*(char **)field(config, &KEYS[i]));
        if (KEYS[i].kind == KEY_DATASETS) free_datasets(field(config, &KEYS[i]));
    }
    *config = (XrRunConfig){0};
}

// The key of a name, if the command has it.
static const Key *find(const XrRunConfig *config, const char *source, const char *name,
                       XrError *err) {
    const char *names[XR_COUNT(KEYS)];
    int count = 0;
    for (size_t i = 0; i < XR_COUNT(KEYS); i++) {
        bool ours = KEYS[i].commands & config->command;
        if (strcmp(KEYS[i].name, name) == 0) {
            if (ours) return &KEYS[i];
            xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" is not a key of %s", source, name,
                    command_name(config->command));
            return NULL;
        }
        if (ours) names[count++] = KEYS[i].name;
    }
    const char *here = xr_foreign_key(name);
    if (here) {
        xr_fail(err, XR_ERR_INPUT, "%s: there is no key \"%s\": %s", source, name, here);
        return NULL;
    }
    const char *near = xr_nearest_name(name, names, count);
    xr_fail(err, XR_ERR_INPUT, "%s: unknown key \"%s\"%s%s%s; --print-config lists all", source,
            name, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return NULL;
}

static bool is_choice(const char *value, const char *choices) {
    size_t length = strlen(value);
    for (const char *at = choices; at; at = strchr(at, '|'), at = at ? at + 1 : NULL) {
        if (strcspn(at, "|") == length && strncmp(at, value, length) == 0) return true;
    }
    return false;
}

static bool store_text(const char *source, const Key *k, char **out, const char *value,
                       XrError *err) {
    if (k->choices && !is_choice(value, k->choices)) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" is \"%s\", but must be one of %s", source,
                       k->name, value, k->choices);
    }
    free(*out);
    *out = xr_strdup(value);
    return true;
}

static bool store_number(const char *source, const Key *k, void *out, const cJSON *value,
                         XrError *err) {
    int64_t whole = 0;
    bool ok = k->kind == KEY_INT ? xr_json_whole(value, &whole)
                                 : cJSON_IsNumber(value) && isfinite(value->valuedouble);
    if (!ok) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" must be a %s", source, k->name,
                       k->kind == KEY_INT ? "whole number" : "number");
    }
    if (value->valuedouble < k->least || value->valuedouble > k->most) {
        return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" is %g, but must be from %g to %g", source,
                       k->name, value->valuedouble, k->least, k->most);
    }
    if (k->kind == KEY_INT)
        *(int64_t *)out = whole;
    else
        *(double *)out = value->valuedouble;
    return true;
}

static bool store_dataset(const XrJson *json, const Key *k, XrDatasetSpec *out, const cJSON *item,
                          XrError *err) {
    static const char *const known[] = {"path", "format", "limit", "skip", "images"};
    const char *path = NULL, *format = "auto", *images = NULL;
    const cJSON *child;
    cJSON_ArrayForEach(child, item) {
        bool ours = false;
        for (size_t i = 0; i < XR_COUNT(known); i++) ours |= strcmp(child->string, known[i]) == 0;
        if (!ours) {
            return xr_fail(err, XR_ERR_INPUT,
                           "%s: a dataset in \"%s\" has the unknown key \"%s\"; known "
                           "are path, format, limit, skip and images",
                           json->name, k->name, child->string);
        }
    }
    if (!xr_json_get_text(json, item, "path", &path, err) ||
        !xr_json_get_text(json, item, "format", &format, err) ||
        !xr_json_get_text(json, item, "images", &images, err) ||
        !xr_json_get_int(json, item, "limit", &out->limit, err) ||
        !xr_json_get_int(json, item, "skip", &out->skip, err)) {
        return false;
    }
    if (!path || out->limit < 0 || out->skip < 0) {
        return xr_fail(err, XR_ERR_INPUT,
                       "%s: each dataset in \"%s\" needs a \"path\", and limit and "
                       "skip cannot be negative",
                       json->name, k->name);
    }
    out->path = xr_strdup(path);
    out->format = xr_strdup(format);
    out->images = images ? xr_strdup(images) : NULL;
    return true;
}

// A list of datasets; one alone, or its path alone, will do.
static bool store_datasets(const XrJson *json, const Key *k, XrDatasetList *out, const cJSON *value,
                           XrError *err) {
    free_datasets(out);
    bool list = cJSON_IsArray(value);
    int count = list ? cJSON_GetArraySize(value) : 1;
    out->items = xr_calloc((size_t)count, sizeof *out->items);
    const cJSON *item = list ? value->child : value;
    for (; item && out->count < count; item = item->next) {
        XrDatasetSpec *spec = &out->items[out->count++];
        if (cJSON_IsString(item)) {
            *spec = (XrDatasetSpec){xr_strdup(item->valuestring), xr_strdup("auto"), 0, 0, NULL};
        } else if (!cJSON_IsObject(item)) {
            return xr_fail(err, XR_ERR_INPUT,
                           "%s: \"%s\" must list objects with \"path\" and \"format\"", json->name,
                           k->name);
        } else if (!store_dataset(json, k, spec, item, err)) {
            return false;
        }
    }
    return true;
}

static bool store(XrRunConfig *config, const XrJson *json, const Key *k, const cJSON *value,
                  XrError *err) {
    void *out = field(config, k);
    switch (k->kind) {
    case KEY_TEXT:
        if (cJSON_IsString(value)) return store_text(json->name, k, out, value->valuestring, err);
        return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" must be a text", json->name, k->name);
    case KEY_BOOL:
        if (!cJSON_IsBool(value)) {
            return xr_fail(err, XR_ERR_INPUT, "%s: \"%s\" must be true or false", json->name,
                           k->name);
        }
        *(bool *)out = cJSON_IsTrue(value);
        return true;
    case KEY_DATASETS:
        return store_datasets(json, k, out, value, err);
    default:
        return store_number(json->name, k, out, value, err);
    }
}

// One key of a configuration file. A resolved one names its command; null leaves the default.
static bool read_key(XrRunConfig *config, const XrJson *json, const cJSON *child, XrError *err) {
    if (strcmp(child->string, "command") == 0) {
        const char *ours = command_name(config->command);
        if (cJSON_IsString(child) && strcmp(child->valuestring, ours) == 0) return true;
        return xr_fail(err, XR_ERR_INPUT, "%s: this is a configuration of another command than %s",
                       json->name, ours);
    }
    const Key *key = find(config, json->name, child->string, err);
    return key && (cJSON_IsNull(child) || store(config, json, key, child, err));
}

bool xr_run_config_read(XrRunConfig *config, const char *path, XrError *err) {
    XrJson json;
    if (!xr_json_read_file(&json, path, &XR_JSON_SMALL, err)) return false;
    bool ok = cJSON_IsObject(json.root) ||
              xr_fail(err, XR_ERR_INPUT, "%s: must be a JSON object of keys and values", path);
    for (const cJSON *child = ok ? json.root->child : NULL; ok && child; child = child->next) {
        ok = read_key(config, &json, child, err);
    }
    xr_json_free(&json);
    return ok;
}

// A value on the command line is JSON, or a dataset's path. Of a number or a truth value what is no
// JSON is taken as a text, so that it is refused by what it should have been.
static bool parse_value(XrJson *json, const Key *key, const char *value, XrError *err) {
    bool path = key->kind == KEY_DATASETS && !(*value && strchr("[{\"", *value));
    if (!path) {
        bool whole = key->kind == KEY_DATASETS || key->kind == KEY_TEXT;
        bool ok = xr_json_parse(json, whole ? key->name : "argument", value, strlen(value),
                                &XR_JSON_SMALL, err);
        if (ok || whole) return ok;
    }
    XrBuffer text = {0};
    xr_buffer_json(&text, value, strlen(value));
    bool ok = xr_json_parse(json, "argument", text.data, text.length, &XR_JSON_SMALL, err);
    xr_buffer_free(&text);
    return ok;
}

bool xr_run_config_set(XrRunConfig *config, const char *assignment, XrError *err) {
    const char *equals = strchr(assignment, '=');
    if (!equals) {
        return xr_fail(err, XR_ERR_INPUT, "\"%s\": an override is written key=value", assignment);
    }
    char *name = xr_strndup(assignment, (size_t)(equals - assignment));
    const char *value = equals + 1;
    const Key *key = find(config, "argument", name, err);
    bool ok = key != NULL;
    if (ok && key->kind == KEY_TEXT && *value != '"') {
        ok = store_text("argument", key, field(config, key), value, err);
    } else if (ok) {
        XrJson json;
        ok = parse_value(&json, key, value, err);
        if (ok) {
            ok = store(config, &json, key, json.root, err);
            xr_json_free(&json);
        }
    }
    free(name);
    return ok;
}

static void datasets_json(const XrDatasetList *list, XrBuffer *out) {
    xr_buffer_byte(out, '[');
    for (int i = 0; i < list->count; i++) {
        const XrDatasetSpec *d = &list->items[i];
        xr_buffer_text(out, i ? ", {\"path\": " : "{\"path\": ");
        xr_buffer_json(out, d->path, strlen(d->path));
        xr_buffer_text(out, ", \"format\": ");
        xr_buffer_json(out, d->format, strlen(d->format));
        xr_buffer_format(out, ", \"limit\": %lld, \"skip\": %lld", (long long)d->limit,
                         (long long)d->skip);
        if (d->images) {
            xr_buffer_text(out, ", \"images\": ");
            xr_buffer_json(out, d->images, strlen(d->images));
        }
        xr_buffer_byte(out, '}');
    }
    xr_buffer_byte(out, ']');
}

static void value_json(const XrRunConfig *config, const Key *k, XrBuffer *out) {
    const void *value = field(config, k);
    const char *text = k->kind == KEY_TEXT ? *(char *const *)value : NULL;
    switch (k->kind) {
    case KEY_TEXT:
        if (text)
            xr_buffer_json(out, text, strlen(text));
        else
            xr_buffer_text(out, "null");
        break;
    case KEY_INT:
        xr_buffer_format(out, "%lld", (long long)*(const int64_t *)value);
        break;
    case KEY_REAL:
        xr_buffer_format(out, "%.17g", *(const double *)value);
        break;
    case KEY_BOOL:
        xr_buffer_text(out, *(const bool *)value ? "true" : "false");
        break;
    case KEY_DATASETS:
        datasets_json(value, out);
        break;
    }
}

void xr_run_config_json(const XrRunConfig *config, XrBuffer *out) {
    xr_buffer_format(out, "{\n  \"command\": \"%s\"", command_name(config->command));
    for (size_t i = 0; i < XR_COUNT(KEYS); i++) {
        if (!(KEYS[i].commands & config->command)) continue;
        xr_buffer_format(out, ",\n  \"%s\": ", KEYS[i].name);
        value_json(config, &KEYS[i], out);
    }
    xr_buffer_text(out, "\n}\n");
}

static char *value_text(const XrRunConfig *config, const Key *k) {
    XrBuffer text = {0};
    if (k->kind == KEY_REAL)
        xr_buffer_format(&text, "%g", *(const double *)field(config, k));
    else
        value_json(config, k, &text);
    return text.data;
}

void xr_run_config_help(const XrRunConfig *config, FILE *out) {
    XrRunConfig defaults;
    xr_run_config_init(&defaults, config->command);
    for (size_t i = 0; i < XR_COUNT(KEYS); i++) {
        const Key *k = &KEYS[i];
        if (!(k->commands & config->command)) continue;
        char *value = value_text(config, k), *usual = value_text(&defaults, k);
        fprintf(out, "%-28s %-10s %s", k->name, value, k->help);
        if (k->choices) fprintf(out, " (%s)", k->choices);
        if (strcmp(value, usual) != 0) fprintf(out, " [default %s]", usual);
        fputc('\n', out);
        free(value);
        free(usual);
    }
    xr_run_config_free(&defaults);
}
