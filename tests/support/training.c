#include "tests/support/training.h"

#include "tests/support/backends.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/train/grpo.h"
#include "shared/train/run_folder.h"
#include "shared/train/sft.h"

#include <stdlib.h>
#include <unistd.h>

enum { MOST_SETTINGS = 48 };

static int add(const char *all[MOST_SETTINGS], int count, const char *const *settings) {
    for (int i = 0; settings && settings[i]; i++) {
        assert_true(count < MOST_SETTINGS - 1);
        all[count++] = settings[i];
    }
    return count;
}

bool xr_test_try_training(const XrTestTraining *t, XrError *err) {
    XrBuffer output = {0}, model = {0}, data = {0};
    xr_buffer_format(&output, "output_dir=%s", t->folder);
    xr_buffer_format(&model, "model_name_or_path=%s/%s", xr_test_source("golden/models"), t->model);
    if (t->data) xr_buffer_format(&data, "train_dataset=%s", t->data);
    const char *all[MOST_SETTINGS] = {output.data, model.data, data.data};
    add(all, add(all, t->data ? 3 : 2, t->settings), t->more);
    XrRunConfig config = xr_test_config(t->command, all);
    XrBackend *b = xr_test_backend(t->backend);
    XrComm *comm = xr_comm_single();
    XrSftOptions sft = {&config, b, comm, t->resume};
    XrGrpoOptions grpo = {
        .config = &config, .backend = b, .comm = comm, .replay = t->replay, .resume = t->resume};
    *err = (XrError){0};
    bool ok = t->command == XR_RUN_SFT ? xr_sft_run(&sft, err) : xr_grpo_run(&grpo, err);
    xr_comm_free(comm);
    xr_backend_free(b);
    xr_run_config_free(&config);
    xr_buffer_free(&output);
    xr_buffer_free(&model);
    xr_buffer_free(&data);
    return ok;
}

void xr_test_train(const XrTestTraining *training) {
    XrError err;
    if (!xr_test_try_training(training, &err)) fail_msg("%s", err.message);
}

char *xr_test_fresh_folder(const char *name) {
    static int count;
    char unique[128];
    snprintf(unique, sizeof unique, "%s-%d", name, count++);
    return xr_path_join(xr_test_scratch(), unique);
}

const char *const XR_TEST_THREE_SAVED_STEPS[] = {"max_steps=3",
                                                 "learning_rate=1e-3",
                                                 "packing=false",
                                                 "per_device_train_batch_size=1",
                                                 "gradient_accumulation_steps=1",
                                                 "save_steps=1",
                                                 "save_total_limit=0",
                                                 NULL};

void xr_test_back_to_first(const char *folder) {
    static const char *const later[] = {"checkpoint-2", "checkpoint-3", "model", "summary.json"};
    for (size_t i = 0; i < XR_COUNT(later); i++) {
        char *path = xr_path_join(folder, later[i]);
        xr_remove_folder(path);
        unlink(path);
        assert_false(xr_path_exists(path));
        free(path);
    }
}
