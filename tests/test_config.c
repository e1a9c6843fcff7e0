// Model configuration, parameter table, weights of a folder, generation configuration.
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/model/folder.h"
#include "shared/model/generation_config.h"
#include "shared/model/weights.h"

#include <cjson/cJSON.h> // defines: editing configurations
#include <math.h>
#include <stdlib.h>

// The 7B model's configuration as it is published: flat.
static const char PUBLISHED[] =
    "{\"architectures\":[\"Qwen2_5_VLForConditionalGeneration\"],\"attention_dropout\":0.0,"
    "\"bos_token_id\":151643,\"eos_token_id\":151645,\"vision_start_token_id\":151652,"
    "\"vision_end_token_id\":151653,\"vision_token_id\":151654,\"image_token_id\":151655,"
    "\"video_token_id\":151656,\"hidden_act\":\"silu\",\"hidden_size\":3584,"
    "\"initializer_range\":0.02,\"intermediate_size\":18944,\"max_position_embeddings\":128000,"
    "\"max_window_layers\":28,\"model_type\":\"qwen2_5_vl\",\"num_attention_heads\":28,"
    "\"num_hidden_layers\":28,\"num_key_value_heads\":4,\"rms_norm_eps\":1e-06,"
    "\"rope_theta\":1000000.0,\"sliding_window\":32768,\"tie_word_embeddings\":false,"
    "\"torch_dtype\":\"bfloat16\",\"use_cache\":true,\"use_sliding_window\":false,"
    "\"vision_config\":{\"depth\":32,\"hidden_act\":\"silu\",\"hidden_size\":1280,"
    "\"intermediate_size\":3420,\"num_heads\":16,\"in_chans\":3,\"out_hidden_size\":3584,"
    "\"patch_size\":14,\"spatial_merge_size\":2,\"spatial_patch_size\":14,\"window_size\":112,"
    "\"fullatt_block_indexes\":[7,15,23,31],\"tokens_per_second\":2,\"temporal_patch_size\":2},"
    "\"rope_scaling\":{\"type\":\"mrope\",\"mrope_section\":[16,24,24]},\"vocab_size\":152064}";

static bool parse(XrConfig *config, const char *text, XrError *err) {
    return xr_config_parse(config, "config.json", text, strlen(text), err);
}

static XrConfig parse_good(const char *text) {
    XrConfig config;
    XrError err = {0};
    if (!parse(&config, text, &err)) fail_msg("%s", err.message);
    return config;
}

// `text` with the value at `path` ("a.b") replaced by the JSON `value`, or removed when NULL.
static char *edited(const char *text, const char *path, const char *value) {
    cJSON *root = cJSON_Parse(text), *object = root;
    assert_non_null(root);
    const char *key = path;
    for (const char *dot; (dot = strchr(key, '.')); key = dot + 1) {
        char *part = xr_strndup(key, (size_t)(dot - key));
        object = cJSON_GetObjectItemCaseSensitive(object, part);
        free(part);
        assert_non_null(object);
    }
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    if (value) {
        cJSON *item = cJSON_Parse(value);
        assert_non_null(item);
        cJSON_AddItemToObject(object, key, item);
    }
    char *out = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return out;
}

static void published_sizes(void **state) {
    // Parameters and tensors as published: totals of the whole model and of the vision tower.
    static const struct {
        const char *hidden, *layers, *heads, *kv, *inner, *vocab, *tied, *vision_inner;
        int tensors;
        int64_t parameters, vision;
    } cases[] = {
        {"2048", "36", "16", "2", "11008", "151936", "true", "3420", 824, 3754622976, 668684288},
        {"3584", "28", "28", "4", "18944", "152064", "false", "3420", 729, 8292166656, 676550144},
        {"5120", "64", "40", "8", "27648", "152064", "false", "3456", 1161, 33452718336, 688841984},
        {"8192", "80", "64", "8", "29568", "152064", "false", "3456", 1353, 73410777344, 704573696},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        const char *edits[][2] = {{"hidden_size", cases[i].hidden},
                                  {"num_hidden_layers", cases[i].layers},
                                  {"num_attention_heads", cases[i].heads},
                                  {"num_key_value_heads", cases[i].kv},
                                  {"intermediate_size", cases[i].inner},
                                  {"vocab_size", cases[i].vocab},
                                  {"tie_word_embeddings", cases[i].tied},
                                  {"vision_config.intermediate_size", cases[i].vision_inner},
                                  {"vision_config.out_hidden_size", cases[i].hidden}};
        char *text = xr_strdup(PUBLISHED);
        for (size_t k = 0; k < XR_COUNT(edits); k++) {
            char *next = edited(text, edits[k][0], edits[k][1]);
            free(text);
            text = next;
        }
        XrConfig config = parse_good(text);
        free(text);
        assert_int_equal(config.head_dim, 128);
        XrParameterTable table = xr_parameters(&config);
        assert_int_equal(table.count, cases[i].tensors);
        assert_int_equal(table.elements, cases[i].parameters);
        int64_t vision = 0;
        for (int p = 0; p < table.count; p++) {
            XrPart part = table.items[p].part;
            if (part == XR_PART_VISION || part == XR_PART_MERGER) {
                vision += xr_parameter_elements(&table.items[p]);
            }
        }
        assert_int_equal(vision, cases[i].vision);
        xr_parameters_free(&table);
    }
}

static void published_values(void **state) {
    XrConfig c = parse_good(PUBLISHED);
    assert_true(c.has_vision && !c.tied);
    assert_int_equal(c.dtype, XR_BF16);
    assert_true(c.rms_eps == 1e-6 && c.rope_theta == 1e6);
    assert_int_equal(c.mrope_section[0], 16);
    assert_int_equal(c.mrope_section[1], 24);
    assert_int_equal(c.mrope_section[2], 24);
    assert_int_equal(c.bos, 151643);
    assert_int_equal(c.pad, -1);
    assert_int_equal(c.eos_count, 1);
    assert_int_equal(c.eos[0], 151645);
    assert_int_equal(c.image_token, 151655);
    assert_int_equal(c.video_token, 151656);
    assert_int_equal(c.vision_start, 151652);
    assert_int_equal(c.vision_end, 151653);
    assert_int_equal(c.max_positions, 128000);
    const XrVisionConfig *v = &c.vision;
    assert_int_equal(v->head_dim, 80);
    assert_int_equal(v->window_cells, 4);
    assert_true(v->tokens_per_second == 2);
    for (int b = 0; b < 32; b++) assert_int_equal(v->full_attention[b], b % 8 == 7);
}

// Files of the large models leave out what all towers have in common.
static void tower_without_common_keys(void **state) {
    static const char vision[] = "{\"hidden_size\":1280,\"in_chans\":3,\"intermediate_size\":3420,"
                                 "\"model_type\":\"qwen2_5_vl\",\"out_hidden_size\":3584,"
                                 "\"tokens_per_second\":2}";
    char *text = edited(PUBLISHED, "vision_config", vision);
    XrConfig a = parse_good(PUBLISHED), b = parse_good(text);
    assert_memory_equal(&a.vision, &b.vision, sizeof a.vision);
    free(text);
}

static void nested_forms(void **state) {
    static const char *const names[] = {"gqa4_shards", "gqa7_half", "mha_head64"};
    for (size_t i = 0; i < XR_COUNT(names); i++) {
        char folder[64];
        snprintf(folder, sizeof folder, "golden/models/%s", names[i]);
        XrConfig c = {0};
        XrError err = {0};
        if (!xr_config_read(&c, xr_test_source(folder), &err)) fail_msg("%s", err.message);
        assert_true(c.has_vision);
        assert_true(c.rope_theta == 1e6 && c.rms_eps == 1e-6);
        assert_int_equal(c.tied, i == 2); // in text_config only when true, on top only when false
        assert_int_equal(c.heads / c.kv_heads, i == 0 ? 4 : i == 1 ? 7 : 1);
        assert_int_equal(c.mrope_section[1], i == 0 ? 6 : i == 1 ? 3 : 12);
        assert_int_equal(c.vision.window_cells, i == 0 ? 2 : i == 1 ? 4 : 6);
        assert_int_equal(c.dtype, i == 0 ? XR_BF16 : XR_F16);
        assert_int_equal(c.image_token, 372);
        assert_int_equal(c.bos, 360);
        assert_int_equal(c.eos[0], 362);
    }
}

static void text_only(void **state) {
    XrConfig c = {0};
    XrError err = {0};
    if (!xr_config_read(&c, xr_test_source("golden/models/text_only"), &err)) {
        fail_msg("%s", err.message);
    }
    assert_false(c.has_vision);
    assert_true(c.tied && c.rope_theta == 1e4 && c.rms_eps == 1e-5);
    assert_int_equal(c.head_dim, 16);
    assert_int_equal(c.mrope_section[0], 8);
    assert_int_equal(c.image_token, -1);
    assert_int_equal(c.dtype, XR_F32);
    XrParameterTable table = xr_parameters(&c);
    assert_int_equal(table.count, 26);
    assert_int_equal(xr_parameter_index(&table, XR_VISION_PATCH, 0), -1);
    assert_int_equal(xr_parameter_index(&table, XR_HEAD, 0), -1);
    xr_parameters_free(&table);
}

// What stands where both places disagree, and where it is in one only.
static void tied_in_either_place(void **state) {
    static const struct {
        const char *inner, *top;
        int tied; // -1: refused
    } cases[] = {{"true", NULL, 1},    {"false", NULL, 0},   {NULL, "true", 1}, {NULL, "false", 0},
                 {"true", "false", 1}, {"false", "true", 0}, {NULL, NULL, -1}};
    XrBuffer text = {0};
    XrError err = {0};
    assert_true(
        xr_file_read(xr_test_source("golden/models/mha_head64/config.json"), 1 << 20, &text, &err));
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        char *inner = edited(text.data, "text_config.tie_word_embeddings", cases[i].inner);
        char *both = edited(inner, "tie_word_embeddings", cases[i].top);
        XrConfig c = {0};
        bool ok = parse(&c, both, &err);
        assert_int_equal(ok, cases[i].tied >= 0);
        if (ok) {
            assert_int_equal(c.tied, cases[i].tied);
            assert_int_equal(c.tied_disputed, i == 4 || i == 5);
        } else {
            assert_non_null(strstr(err.message, "\"tie_word_embeddings\" is missing"));
        }
        free(inner);
        free(both);
    }
    xr_buffer_free(&text);
}

static const struct {
    const char *path, *value, *part;
} REFUSED[] = {
    {"architectures", "[\"Qwen3ForCausalLM\"]", "Qwen3ForCausalLM"},
    {"architectures", "[\"Qwen2VLForConditionalGeneration\"]", "Qwen2VLFor"},
    {"architectures", "[\"Qwen2ForCausalLM\"]", "model_type"},
    {"model_type", "\"qwen2\"", "model_type"},
    {"hidden_size", NULL, "\"hidden_size\" is missing"},
    {"hidden_size", "null", "\"hidden_size\" is missing"},
    {"hidden_size", "\"3584\"", "whole number"},
    {"hidden_size", "3584.5", "whole number"},
    {"hidden_size", "0", "from 2 to"},
    {"hidden_size", "-3584", "from 2 to"},
    {"hidden_size", "1e15", "from 2 to"},
    {"hidden_size", "3585", "no multiple"},
    {"hidden_size", "2048", "no multiple"},
    {"num_hidden_layers", "0", "from 1 to"},
    {"num_hidden_layers", "1000000", "from 1 to"},
    {"num_attention_heads", "0", "from 1 to"},
    {"num_key_value_heads", NULL, "\"num_key_value_heads\" is missing"},
    {"num_key_value_heads", "5", "no multiple"},
    {"num_key_value_heads", "56", "no multiple"},
    {"intermediate_size", NULL, "missing"},
    {"vocab_size", NULL, "missing"},
    {"vocab_size", "151655", "\"image_token_id\""},
    {"rms_norm_eps", NULL, "\"rms_norm_eps\" is missing"},
    {"rms_norm_eps", "0", "positive"},
    {"rms_norm_eps", "-1", "positive"},
    {"rope_theta", NULL, "\"rope_theta\" is missing"},
    {"rope_theta", "-1", "from 1"},
    {"max_position_embeddings", NULL, "missing"},
    {"tie_word_embeddings", "1", "true or false"},
    {"tie_word_embeddings", NULL, "\"tie_word_embeddings\" is missing"},
    {"head_dim", "64", "\"head_dim\" 64"},
    {"hidden_act", "\"gelu\"", "\"hidden_act\" is gelu"},
    {"use_sliding_window", "true", "use_sliding_window"},
    {"layer_types", "[\"full_attention\",\"sliding_attention\"]", "sliding_attention"},
    {"attention_bias", "false", "attention_bias"},
    {"mlp_bias", "true", "mlp_bias"},
    {"attention_dropout", "0.1", "attention_dropout"},
    {"quantization_config", "{\"bits\":4}", "quantised"},
    {"torch_dtype", "\"float64\"", "float64"},
    {"rope_scaling", NULL, "\"mrope_section\" is missing"},
    {"rope_scaling", "[]", "must be an object"},
    {"rope_scaling", "{\"type\":\"yarn\",\"factor\":4,\"mrope_section\":[16,24,24]}", "\"yarn\""},
    {"rope_scaling", "{\"rope_type\":\"linear\",\"mrope_section\":[16,24,24]}", "\"linear\""},
    {"rope_scaling", "{\"type\":\"mrope\",\"rope_type\":\"dynamic\"}", "\"dynamic\""},
    {"rope_scaling",
     "{\"type\":\"mrope\",\"mrope_section\":[16,24,24],"
     "\"mrope_interleaved\":true}",
     "mrope_interleaved"},
    {"rope_parameters", "{\"rope_theta\":5000000}", "given twice"},
    {"rope_scaling.mrope_section", "[16,24]", "sum to 64"},
    {"rope_scaling.mrope_section", "[16,24,23]", "sum to 64"},
    {"rope_scaling.mrope_section", "[16,24,24,0]", "sum to 64"},
    {"rope_scaling.mrope_section", "[-16,40,40]", "sum to 64"},
    {"rope_scaling.mrope_section", "\"x\"", "sum to 64"},
    {"eos_token_id", "[151645,-1]", "eos_token_id"},
    {"eos_token_id", "152064", "eos_token_id"},
    {"eos_token_id", "[1,2,3,4,5,6,7,8,9]", "eos_token_id"},
    {"bos_token_id", "152064", "bos_token_id"},
    {"image_token_id", NULL, "\"image_token_id\" is missing"},
    {"vision_config", NULL, "\"vision_config\" is missing"},
    {"vision_config", "7", "\"vision_config\" is missing"},
    {"vision_config.hidden_size", NULL, "vision_config: \"hidden_size\" is missing"},
    {"vision_config.hidden_size", "1288", "multiple of 4"},
    {"vision_config.num_heads", "15", "multiple of 4"},
    {"vision_config.intermediate_size", NULL, "vision_config: \"intermediate_size\""},
    {"vision_config.out_hidden_size", "2048", "must be equal"},
    {"vision_config.tokens_per_second", NULL, "\"tokens_per_second\" is missing"},
    {"vision_config.depth", "257", "from 1 to 256"},
    {"vision_config.in_chans", "4", "three channels"},
    {"vision_config.spatial_merge_size", "3", "spatial_merge_size"},
    {"vision_config.temporal_patch_size", "1", "temporal_patch_size"},
    {"vision_config.window_size", "27", "less than one"},
    {"vision_config.fullatt_block_indexes", "[7,-1]", "fullatt_block_indexes"},
    {"vision_config.fullatt_block_indexes", "7", "fullatt_block_indexes"},
    {"vision_config.hidden_act", "\"quick_gelu\"", "quick_gelu"},
};

// Where the two places disagree, the folder's weights decide.
static void disputed_tie_is_settled(void **state) {
    XrBuffer text = {0};
    XrError err = {0};
    assert_true(
        xr_file_read(xr_test_source("golden/models/mha_head64/config.json"), 1 << 20, &text, &err));
    char *disputed = edited(text.data, "tie_word_embeddings", "false"), folder[300];
    for (int own_head = 0; own_head < 2; own_head++) {
        float numbers[4] = {0};
        XrSaveTensor save = {.name = own_head ? "lm_head.weight" : "other",
                             .tensor = xr_tensor2(XR_F32, numbers, 2, 2)};
        snprintf(folder, sizeof folder, "%s/disputed%d", xr_test_scratch(), own_head);
        assert_true(xr_safetensors_write_folder(folder, &save, 1, 1 << 20, &err));
        char *path = xr_path_join(folder, "config.json");
        assert_true(xr_file_write(path, disputed, strlen(disputed), &err));
        XrConfig c = {0};
        if (!xr_config_read(&c, folder, &err)) fail_msg("%s", err.message);
        assert_int_equal(c.tied, !own_head);
        free(path);
    }
    free(disputed);
    xr_buffer_free(&text);
}

static void refused_configurations(void **state) {
    for (size_t i = 0; i < XR_COUNT(REFUSED); i++) {
        char *text = edited(PUBLISHED, REFUSED[i].path, REFUSED[i].value);
        XrConfig config;
        XrError err = {0};
        if (parse(&config, text, &err)) {
            fail_msg("%s = %s was read", REFUSED[i].path,
                     REFUSED[i].value ? REFUSED[i].value : "(none)");
        }
        if (!strstr(err.message, REFUSED[i].part) || !strstr(err.message, "config.json")) {
            fail_msg("%s: \"%s\" does not say \"%s\"", REFUSED[i].path, err.message,
                     REFUSED[i].part);
        }
        assert_int_equal(config.hidden, 0);
        free(text);
    }
}

// A tower of another width must say everything itself.
static void other_tower_needs_all_keys(void **state) {
    static const char *const keys[] = {"depth",
                                       "num_heads",
                                       "patch_size",
                                       "window_size",
                                       "spatial_merge_size",
                                       "temporal_patch_size",
                                       "fullatt_block_indexes"};
    char *base = edited(PUBLISHED, "vision_config.hidden_size", "1024");
    parse_good(base);
    for (size_t i = 0; i < XR_COUNT(keys); i++) {
        char path[64];
        snprintf(path, sizeof path, "vision_config.%s", keys[i]);
        char *text = edited(base, path, NULL);
        XrConfig config;
        XrError err = {0};
        assert_false(parse(&config, text, &err));
        assert_non_null(strstr(err.message, keys[i]));
        free(text);
    }
    free(base);
}

static void accepted_variants(void **state) {
    static const struct {
        const char *path, *value;
    } cases[] = {
        {"sliding_window", "null"},
        {"eos_token_id", "[151645,151643]"},
        {"eos_token_id", "null"},
        {"pad_token_id", "-1"},
        {"head_dim", "128"},
        {"torch_dtype", NULL},
        {"dtype", "\"float32\""},
        {"layer_types", "[\"full_attention\"]"},
        {"model_type", NULL},
        {"architectures", NULL},
        {"text_config", "{}"},
        {"rope_parameters", "{\"rope_theta\":1000000,\"rope_type\":\"default\"}"},
        {"vision_config.fullatt_block_indexes", "[]"},
        {"vision_config.fullatt_block_indexes", "[7,99,1000000000]"},
        {"unknown_key", "{\"a\":[1,2,3]}"},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        char *text = edited(PUBLISHED, cases[i].path, cases[i].value);
        XrConfig c = parse_good(text);
        assert_int_equal(c.hidden, 3584);
        free(text);
    }
}

static void hostile_text(void **state) {
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "7",
                                        "null",
                                        "{\"architectures\":[]}",
                                        "{\"architectures\":[7]}",
                                        "{\"architectures\":\"x\"}"};
    for (size_t i = 0; i < XR_COUNT(texts); i++) {
        XrConfig config;
        XrError err = {0};
        assert_false(parse(&config, texts[i], &err));
        assert_non_null(strstr(err.message, "config.json"));
    }
    XrConfig config;
    XrError err = {0};
    assert_false(xr_config_read(&config, xr_test_scratch(), &err));
    assert_non_null(strstr(err.message, "config.json"));
}

// ---- parameters and weights ----

static void parameter_index_matches_table(void **state) {
    XrConfig c = parse_good(PUBLISHED);
    XrParameterTable table = xr_parameters(&c);
    for (int i = 0; i < table.count; i++) {
        const XrParameter *p = &table.items[i];
        assert_int_equal(xr_parameter_index(&table, p->role, p->block), i);
        assert_int_equal(p->decay, p->ndim > 1);
    }
    int at = xr_parameter_index(&table, XR_LAYER_K_BIAS, 27);
    assert_string_equal(table.items[at].name, "model.layers.27.self_attn.k_proj.bias");
    assert_int_equal(table.items[at].shape[0], 512);
    at = xr_parameter_index(&table, XR_VISION_DOWN, 31);
    assert_string_equal(table.items[at].name, "visual.blocks.31.mlp.down_proj.weight");
    char other[80];
    xr_parameter_alternative_name(&table.items[at], other);
    assert_string_equal(other, "model.visual.blocks.31.mlp.down_proj.weight");
    xr_parameter_alternative_name(&table.items[xr_parameter_index(&table, XR_FINAL_NORM, 0)],
                                  other);
    assert_string_equal(other, "model.language_model.norm.weight");
    xr_parameter_alternative_name(&table.items[xr_parameter_index(&table, XR_HEAD, 0)], other);
    assert_string_equal(other, "lm_head.weight");
    xr_parameters_free(&table);
}

static void golden_folders_open(void **state) {
    static const struct {
        const char *name;
        XrDType dtype;
        int64_t elements; // as PyTorch counted them
    } cases[] = {{"gqa2_tied", XR_F32, 186144}, {"gqa4_shards", XR_BF16, 367016},
                 {"gqa7_half", XR_F16, 347504}, {"mha_head64", XR_F16, 390616},
                 {"head128", XR_BF16, 726688},  {"text_only", XR_F32, 125216}};
    XrThreads *threads = xr_threads_create(2);
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        char folder[64];
        snprintf(folder, sizeof folder, "golden/models/%s", cases[i].name);
        const char *path = xr_test_source(folder);
        XrConfig c = {0};
        XrWeights w = {0};
        XrError err = {0};
        if (!xr_config_read(&c, path, &err) || !xr_weights_open(&w, path, &c, &err)) {
            fail_msg("%s", err.message);
        }
        assert_int_equal(w.dtype, cases[i].dtype);
        assert_false(w.mixed);
        assert_int_equal(w.table.elements, cases[i].elements);
        assert_true(xr_weights_check_finite(&w, threads, &err));
        const XrTensor *head = xr_weights_tensor(&w, XR_HEAD, 0),
                       *embed = xr_weights_tensor(&w, XR_EMBED, 0);
        assert_int_equal(head == embed, c.tied);
        assert_int_equal(head->shape[0], 400);
        assert_int_equal(xr_weights_tensor(&w, XR_MERGER_FC1, 0) != NULL, c.has_vision);
        xr_weights_close(&w);
    }
    xr_threads_free(threads);
}

// A folder made of text_only's tensors after `change` had its way with them.
typedef struct Folder {
    char path[300];
    XrConfig config;
    XrSafetensors *source;
    XrSaveTensor saves[64];
    int count;
} Folder;

static Folder *folder_start(void) {
    static int made;
    Folder *f = xr_calloc(1, sizeof *f);
    XrError err = {0};
    const char *golden = xr_test_source("golden/models/text_only");
    snprintf(f->path, sizeof f->path, "%s/folder%d", xr_test_scratch(), made++);
    assert_true(xr_config_read(&f->config, golden, &err));
    assert_true(xr_safetensors_open(&f->source, golden, &err));
    f->count = xr_safetensors_count(f->source);
    for (int i = 0; i < f->count; i++) {
        const XrStored *stored = xr_safetensors_at(f->source, i);
        f->saves[i].name = stored->name;
        assert_true(xr_safetensors_view(f->source, stored, &f->saves[i].tensor, &err));
    }
    return f;
}

static XrSaveTensor *folder_tensor(Folder *f, const char *name) {
    for (int i = 0; i < f->count; i++) {
        if (strcmp(f->saves[i].name, name) == 0) return &f->saves[i];
    }
    fail_msg("no tensor %s", name);
    return NULL;
}

// Writes the folder and opens its weights; `part` NULL: that must work.
static void folder_finish(Folder *f, const char *part) {
    XrError err = {0};
    XrWeights w = {0};
    if (!xr_model_folder_write(f->path, xr_test_source("golden/models/text_only"), f->saves,
                               f->count, 100000, &err)) {
        fail_msg("%s", err.message);
    }
    bool ok = xr_weights_open(&w, f->path, &f->config, &err);
    if (ok) xr_weights_close(&w);
    if (ok != !part) fail_msg("%s", ok ? "was opened" : err.message);
    if (part && !strstr(err.message, part))
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
    xr_safetensors_close(f->source);
    free(f);
}

static void unfit_weights(void **state) {
    Folder *f = folder_start();
    folder_finish(f, NULL);
    f = folder_start();
    XrSaveTensor *norm = folder_tensor(f, "model.norm.weight");
    *norm = f->saves[f->count - 1];
    f->count--;
    folder_finish(f, "1 tensor missing: model.norm.weight;");
    f = folder_start();
    f->count = 10;
    folder_finish(f, "16 tensors missing: ");
    f = folder_start();
    folder_tensor(f, "model.norm.weight")->tensor.shape[0] = 95;
    folder_finish(f, "model.norm.weight (f32[95], needed [96])");
    f = folder_start();
    XrTensor *t = &folder_tensor(f, "model.layers.0.self_attn.q_proj.weight")->tensor;
    *t = xr_reshape2(t, 48, 192);
    folder_finish(f, "needed [96,96]");
    f = folder_start();
    t = &folder_tensor(f, "model.norm.weight")->tensor;
    t->dtype = XR_I32;
    folder_finish(f, "(i32[96]");
    f = folder_start();
    f->saves[f->count++] = (XrSaveTensor){.name = "model.layers.0.self_attn.q_norm.weight",
                                          .tensor = f->saves[0].tensor};
    folder_finish(f, "1 tensor not of this model: model.layers.0.self_attn.q_norm.weight");
    f = folder_start();
    f->config.tied = false;
    folder_finish(f, "tie_word_embeddings true");
    f = folder_start();
    f->config.hidden = 90;
    folder_finish(f, " more; ");
}

static void tied_head_and_other_names(void **state) {
    Folder *f = folder_start();
    XrTensor embed = folder_tensor(f, "model.embed_tokens.weight")->tensor;
    f->saves[f->count++] = (XrSaveTensor){.name = "lm_head.weight", .tensor = embed};
    folder_finish(f, NULL);
    f = folder_start();
    float *other = xr_malloc(xr_nbytes(&embed));
    memset(other, 1, xr_nbytes(&embed));
    embed.data = other;
    f->saves[f->count++] = (XrSaveTensor){.name = "lm_head.weight", .tensor = embed};
    folder_finish(f, "lm_head.weight differs");
    f = folder_start();
    f->config.tied = false; // with a head of its own
    f->saves[f->count++] = (XrSaveTensor){.name = "lm_head.weight", .tensor = embed};
    folder_finish(f, NULL);
    free(other);
    f = folder_start();
    folder_tensor(f, "model.norm.weight")->name = "model.language_model.norm.weight";
    f->saves[f->count++] = (XrSaveTensor){.name = "model.layers.0.self_attn.rotary_emb.inv_freq",
                                          .tensor = xr_rows(&f->saves[0].tensor, 0, 1)};
    folder_finish(f, NULL);
}

static void infinite_weights_are_found(void **state) {
    static const struct {
        XrDType dtype;
        uint32_t bits;
        bool good;
    } cases[] = {{XR_F32, 0x7FC00000, false}, {XR_F32, 0xFF800000, false},
                 {XR_F32, 0x7F7FFFFF, true},  {XR_F32, 0x00000001, true},
                 {XR_BF16, 0x7F80, false},    {XR_BF16, 0xFFC1, false},
                 {XR_BF16, 0x7F7F, true},     {XR_F16, 0x7C00, false},
                 {XR_F16, 0xFE00, false},     {XR_F16, 0x7BFF, true}};
    XrThreads *threads = xr_threads_create(2);
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        XrConfig c = {0};
        XrWeights w = {0};
        XrError err = {0};
        const char *folder = xr_test_source("golden/models/text_only");
        assert_true(xr_config_read(&c, folder, &err) && xr_weights_open(&w, folder, &c, &err));
        int at = xr_parameter_index(&w.table, XR_LAYER_UP, 1);
        XR_REQUIRE(w.tensors, "no weights");
        XrTensor *t = &w.tensors[at];
        size_t size = xr_dtype_size(cases[i].dtype), place = (size_t)xr_numel(t) - 1;
        char *data = xr_calloc((size_t)xr_numel(t), size);
        memcpy(data + place * size, &cases[i].bits, size);
        *t = xr_tensor2(cases[i].dtype, data, t->shape[0], t->shape[1]);
        bool ok = xr_weights_check_finite(&w, threads, &err);
        assert_int_equal(ok, cases[i].good);
        if (!ok) {
            assert_non_null(strstr(err.message, "model.layers.1.mlp.up_proj.weight"));
            assert_non_null(strstr(err.message, "element 6143"));
        }
        free(data);
        xr_weights_close(&w);
    }
    xr_threads_free(threads);
}

static bool same_file(const char *a, const char *b, const char *name) {
    XrBuffer x = {0}, y = {0};
    XrError err = {0};
    char *pa = xr_path_join(a, name), *pb = xr_path_join(b, name);
    bool same = xr_file_read(pa, 1 << 20, &x, &err) && xr_file_read(pb, 1 << 20, &y, &err) &&
                x.length == y.length && memcmp(x.data, y.data, x.length) == 0;
    free(pa);
    free(pb);
    xr_buffer_free(&x);
    xr_buffer_free(&y);
    return same;
}

static void folder_is_written_whole(void **state) {
    const char *source = xr_test_source("golden/models/gqa4_shards");
    char folder[300];
    snprintf(folder, sizeof folder, "%s/written/deep", xr_test_scratch());
    XrConfig c = {0};
    XrWeights w = {0};
    XrError err = {0};
    assert_true(xr_config_read(&c, source, &err) && xr_weights_open(&w, source, &c, &err));
    XrSaveTensor *saves = xr_calloc((size_t)w.table.count, sizeof *saves);
    for (int i = 0; i < w.table.count; i++) {
        saves[i] = (XrSaveTensor){.name = w.table.items[i].name, .tensor = w.tensors[i]};
    }
    assert_false(xr_model_folder_write(source, source, saves, w.table.count, 1 << 20, &err));
    assert_non_null(strstr(err.message, "choose another"));
    if (!xr_model_folder_write(folder, source, saves, w.table.count, 1 << 20, &err)) {
        fail_msg("%s", err.message);
    }
    assert_true(same_file(folder, source, "config.json"));
    assert_true(same_file(folder, source, "tokenizer.json"));
    assert_true(same_file(folder, source, "tokenizer_config.json"));
    assert_true(same_file(folder, source, "generation_config.json"));
    assert_true(same_file(folder, source, "preprocessor_config.json"));
    char *index = xr_path_join(folder, "model.safetensors.index.json");
    assert_false(xr_path_exists(index)); // it fits one file, the source's index is not copied
    free(index);
    XrWeights again = {0};
    if (!xr_weights_open(&again, folder, &c, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < w.table.count; i++) {
        assert_memory_equal(again.tensors[i].data, w.tensors[i].data, xr_nbytes(&w.tensors[i]));
    }
    xr_weights_close(&again);
    xr_weights_close(&w);
    free(saves);
}

// ---- generation configuration ----

static bool generation(XrGenerationConfig *g, const char *text, XrError *err) {
    XrConfig c = parse_good(PUBLISHED);
    return xr_generation_config_parse(g, "generation_config.json", text, strlen(text), &c, err);
}

static void generation_published(void **state) {
    XrGenerationConfig g;
    XrError err = {0};
    assert_true(generation(&g,
                           "{\"bos_token_id\":151643,\"pad_token_id\":151643,\"do_sample\":true,"
                           "\"eos_token_id\":[151645,151643],\"repetition_penalty\":1.05,"
                           "\"temperature\":0.000001,\"transformers_version\":\"4.49.0\"}",
                           &err));
    assert_true(g.sample && g.temperature == 1e-6 && g.top_p == 1 && g.repetition_penalty == 1.05);
    assert_int_equal(g.top_k, 50);
    assert_int_equal(g.eos_count, 2);
    assert_int_equal(g.eos[1], 151643);
    assert_int_equal(g.pad, 151643);
    assert_int_equal(g.max_new_tokens, -1);
}

static void generation_defaults(void **state) {
    XrConfig c = parse_good(PUBLISHED);
    XrGenerationConfig g;
    XrError err = {0};
    assert_true(xr_generation_config_read(&g, xr_test_scratch(), &c, &err)); // no such file
    assert_true(!g.sample && g.temperature == 1 && g.top_p == 1 && g.repetition_penalty == 1);
    assert_int_equal(g.top_k, 50);
    assert_int_equal(g.eos_count, 1);
    assert_int_equal(g.eos[0], 151645);
    assert_int_equal(g.bos, 151643);
    assert_true(generation(&g, "{\"do_sample\":true,\"temperature\":0,\"top_k\":null}", &err));
    assert_false(g.sample);
    assert_int_equal(g.top_k, 50);
    assert_true(generation(&g, "{\"eos_token_id\":5,\"max_new_tokens\":2048,\"top_k\":0}", &err));
    assert_int_equal(g.eos_count, 1);
    assert_int_equal(g.eos[0], 5);
    assert_int_equal(g.max_new_tokens, 2048);
    assert_int_equal(g.top_k, 0);
}

static void generation_refused(void **state) {
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"[]", "object"},
        {"{", "JSON"},
        {"{\"temperature\":-1}", "temperature"},
        {"{\"temperature\":\"1\"}", "temperature"},
        {"{\"top_p\":1.5}", "top_p"},
        {"{\"top_k\":-1}", "top_k"},
        {"{\"top_k\":1.5}", "top_k"},
        {"{\"repetition_penalty\":0}", "repetition_penalty"},
        {"{\"max_new_tokens\":0}", "max_new_tokens"},
        {"{\"eos_token_id\":152064}", "eos_token_id"},
        {"{\"eos_token_id\":\"x\"}", "eos_token_id"},
        {"{\"num_beams\":4}", "num_beams"},
        {"{\"no_repeat_ngram_size\":3}", "no_repeat_ngram_size"},
        {"{\"do_sample\":true,\"min_p\":0.1}", "min_p"},
        {"{\"bad_words_ids\":[[1]]}", "bad_words_ids"},
        {"{\"do_sample\":1}", "do_sample"},
    };
    for (size_t i = 0; i < XR_COUNT(cases); i++) {
        XrGenerationConfig g;
        XrError err = {0};
        if (generation(&g, cases[i].text, &err)) fail_msg("%s was read", cases[i].text);
        if (!strstr(err.message, cases[i].part) || !strstr(err.message, "generation_config.json")) {
            fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i].part);
        }
    }
    XrGenerationConfig g;
    XrError err = {0};
    assert_true(generation(&g,
                           "{\"num_beams\":1,\"min_p\":0.1,\"typical_p\":0.5,"
                           "\"bad_words_ids\":null,\"suppress_tokens\":[]}",
                           &err));
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_sizes),
        cmocka_unit_test(published_values),
        cmocka_unit_test(tower_without_common_keys),
        cmocka_unit_test(nested_forms),
        cmocka_unit_test(text_only),
        cmocka_unit_test(tied_in_either_place),
        cmocka_unit_test(disputed_tie_is_settled),
        cmocka_unit_test(refused_configurations),
        cmocka_unit_test(other_tower_needs_all_keys),
        cmocka_unit_test(accepted_variants),
        cmocka_unit_test(hostile_text),
        cmocka_unit_test(parameter_index_matches_table),
        cmocka_unit_test(golden_folders_open),
        cmocka_unit_test(unfit_weights),
        cmocka_unit_test(tied_head_and_other_names),
        cmocka_unit_test(infinite_weights_are_found),
        cmocka_unit_test(folder_is_written_whole),
        cmocka_unit_test(generation_published),
        cmocka_unit_test(generation_defaults),
        cmocka_unit_test(generation_refused),
    };
    xr_test_filter(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
