// Every key of a run's configuration: name, default, which commands have it, what it means. Names
// are those of TRL's SFTConfig and GRPOConfig, or of transformers, where they have one. Defaults
// are the X-Reasoner paper's (arXiv 2505.03981, appendix B) where it states them; where a default
// differs by command, the second is grpo's.
#ifndef XR_TRAIN_RUN_KEYS_H
#define XR_TRAIN_RUN_KEYS_H

// Commands, as bits.
enum {
    XR_RUN_SFT = 1,
    XR_RUN_GRPO = 2,
    XR_RUN_DISTILL = 4,
    XR_RUN_EVAL = 8,
    XR_RUN_TRAIN = XR_RUN_SFT | XR_RUN_GRPO,
    XR_RUN_SAMPLE = XR_RUN_GRPO | XR_RUN_DISTILL | XR_RUN_EVAL,
    XR_RUN_ALL = 15,
};

// TEXT(name, commands, default, choices or NULL, help)
// INT(name, commands, default, default of grpo, least, most, help)
// REAL(name, commands, default, default of grpo, least, most, help)
// BOOL(name, commands, default, help)
#define XR_RUN_KEYS(TEXT, INT, REAL, BOOL)                                                         \
    TEXT(model_name_or_path, XR_RUN_ALL, NULL, NULL, "folder of the model")                        \
    TEXT(output_dir, XR_RUN_ALL, NULL, NULL, "folder of the run, made if missing")                 \
    TEXT(dtype, XR_RUN_ALL, "stored", "stored|f32|bf16", "type of weights that are not trained")   \
    BOOL(bf16, XR_RUN_TRAIN, false,                                                                \
         "compute in bf16 (cpu: its weights alone); masters, gradients and moments stay f32")      \
    INT(seed, XR_RUN_ALL, 42, 42, 0, 9e15, "of the order of data, of sampling, of everything")     \
    /* optimisation */                                                                             \
    REAL(learning_rate, XR_RUN_TRAIN, 1e-5, 3e-6, 0, 1e3, "highest learning rate")                 \
    TEXT(lr_scheduler_type, XR_RUN_TRAIN, "auto",                                                  \
         "auto|constant|constant_with_warmup|linear|cosine|epoch_decay",                           \
         "after warm-up; auto: epoch_decay for sft, constant for grpo")                            \
    REAL(lr_epoch_decay, XR_RUN_TRAIN, 0.8, 0.8, 0, 1, "epoch_decay's factor after each epoch")    \
    REAL(warmup_ratio, XR_RUN_TRAIN, 0, 0.1, 0, 1, "share of all steps with rising rate")          \
    INT(warmup_steps, XR_RUN_TRAIN, 0, 0, 0, 1e9, "the same in steps; wins over the ratio if > 0") \
    REAL(num_train_epochs, XR_RUN_TRAIN, 4, 3, 0, 1e6, "passes over the data")                     \
    INT(max_steps, XR_RUN_TRAIN, -1, -1, -1, 1e9, "optimiser steps in all; -1: by epochs")         \
    INT(per_device_train_batch_size, XR_RUN_TRAIN, 4, 8, 1, 1e6,                                   \
        "sequences (packed rows) in a micro-batch")                                                \
    INT(gradient_accumulation_steps, XR_RUN_TRAIN, 32, 128, 1, 1e6,                                \
        "micro-batches in an optimiser step")                                                      \
    REAL(weight_decay, XR_RUN_TRAIN, 0, 0.01, 0, 10, "AdamW's, on matrices and embeddings")        \
    REAL(adam_beta1, XR_RUN_TRAIN, 0.9, 0.9, 0, 0.999999, "AdamW's")                               \
    REAL(adam_beta2, XR_RUN_TRAIN, 0.999, 0.999, 0, 0.999999, "AdamW's")                           \
    REAL(adam_epsilon, XR_RUN_TRAIN, 1e-8, 1e-8, 0, 1, "AdamW's")                                  \
    REAL(max_grad_norm, XR_RUN_TRAIN, 0, 1, 0, 1e9, "longer gradients are shortened; 0: never")    \
    BOOL(gradient_checkpointing, XR_RUN_TRAIN, true,                                               \
         "keep only each layer's input and compute the rest again")                                \
    BOOL(offload_optimizer, XR_RUN_TRAIN, false,                                                   \
         "AdamW's moments lie on disk in output_dir (cuda: in the host's memory); so do masters "  \
         "in bf16")                                                                                \
    BOOL(train_vision, XR_RUN_TRAIN, false, "train the vision tower and the merger too")           \
    INT(save_steps, XR_RUN_TRAIN, 500, 50, 0, 1e9, "a checkpoint every so many steps; 0: none")    \
    INT(save_total_limit, XR_RUN_TRAIN, 2, 2, 0, 1e6, "checkpoints kept; 0: all")                  \
    TEXT(save_dtype, XR_RUN_TRAIN, "stored", "stored|f32|bf16",                                    \
         "type of trained weights in model/; stored: as in model_name_or_path")                    \
    INT(logging_steps, XR_RUN_TRAIN, 1, 1, 1, 1e9, "a line of metrics every so many steps")        \
    INT(eval_steps, XR_RUN_TRAIN, 0, 0, 0, 1e9,                                                    \
        "evaluation on eval_dataset every so many steps; 0: at the end alone")                     \
    /* supervised */                                                                               \
    INT(max_length, XR_RUN_SFT, 4096, 4096, 2, 1e9, "tokens of a sequence")                        \
    TEXT(overlong, XR_RUN_SFT, "truncate", "truncate|drop|error",                                  \
         "what becomes of longer rows; each is counted")                                           \
    BOOL(packing, XR_RUN_SFT, true,                                                                \
         "several rows in one sequence of max_length; attention stays inside each row")            \
    BOOL(shuffle, XR_RUN_TRAIN, true, "a new order of the data each epoch")                        \
    TEXT(invalid_rows, XR_RUN_TRAIN | XR_RUN_DISTILL, "error", "error|drop",                       \
         "rows that cannot be read: they end the run, or are left out and counted")                \
    /* rollouts */                                                                                 \
    INT(num_generations, XR_RUN_GRPO | XR_RUN_DISTILL | XR_RUN_EVAL, 1, 8, 1, 4096,                \
        "samples of each prompt")                                                                  \
    INT(max_prompt_length, XR_RUN_SAMPLE, 0, 0, 0, 1e9, "longer prompts are dropped; 0: no limit") \
    INT(max_completion_length, XR_RUN_SAMPLE, 4096, 4096, 1, 1e9, "tokens of a response")          \
    REAL(temperature, XR_RUN_SAMPLE, 0, 1, 0, 100, "of sampling; 0: greedy")                       \
    REAL(top_p, XR_RUN_SAMPLE, 1, 1, 0, 1, "1: off")                                               \
    INT(top_k, XR_RUN_SAMPLE, 0, 0, 0, 1e9, "0: off")                                              \
    REAL(repetition_penalty, XR_RUN_SAMPLE, 1, 1, 0.01, 100, "1: off")                             \
    INT(think_budget, XR_RUN_SAMPLE, -1, -1, -1, 1e9,                                              \
        "tokens after which open thinking is closed (forced exit); -1: never")                     \
    INT(answer_budget, XR_RUN_SAMPLE, -1, -1, -1, 1e9,                                             \
        "tokens kept for the answer after a forced exit; -1: what is left")                        \
    INT(max_batch_sequences, XR_RUN_SAMPLE, 64, 64, 1, 65536, "sequences generated at a time")     \
    INT(kv_cache_mb, XR_RUN_SAMPLE, 2048, 2048, 1, 1e9, "memory of keys and values")               \
    TEXT(prompt_template, XR_RUN_SAMPLE | XR_RUN_SFT, "auto", NULL,                                \
         "auto, none, a template's name, or a file with {{ question }} in it; of eval also "       \
         "reasoning (the paper's, auto) or direct")                                                \
    /* policy optimisation */                                                                      \
    REAL(epsilon, XR_RUN_GRPO, 0.2, 0.2, 0, 10, "the ratio is clipped below 1 - epsilon")          \
    REAL(epsilon_high, XR_RUN_GRPO, -1, -1, -1, 10, "and above 1 + epsilon_high; -1: epsilon")     \
    REAL(dual_clip, XR_RUN_GRPO, 0, 0, 0, 100,                                                     \
         "bound c of the loss for negative advantages (verl: 3); 0: off")                          \
    REAL(beta, XR_RUN_GRPO, 0.01, 0.01, 0, 100, "weight of the KL term; 0: no reference model")    \
    TEXT(kl_estimator, XR_RUN_GRPO, "k3", "k1|k2|k3", "of the divergence from the reference")      \
    TEXT(loss_type, XR_RUN_GRPO, "dapo", "dapo|grpo|dr_grpo|verl_token_mean",                      \
         "how token losses become one number (docs/grpo.md)")                                      \
    TEXT(scale_rewards, XR_RUN_GRPO, "group", "group|batch|none",                                  \
         "standard deviation that divides advantages")                                             \
    INT(num_iterations, XR_RUN_GRPO, 1, 1, 1, 1000, "passes over each batch of rollouts")          \
    INT(steps_per_generation, XR_RUN_GRPO, 1, 1, 1, 1000,                                          \
        "optimiser steps that a batch of rollouts is split into")                                  \
    BOOL(dynamic_sampling, XR_RUN_GRPO, false,                                                     \
         "replace prompts whose samples all have one reward")                                      \
    INT(max_resamples, XR_RUN_GRPO, 10, 10, 0, 1e6, "rounds of replacing, at most")                \
    TEXT(overlong_responses, XR_RUN_GRPO, "score0", "score0|mask|soft",                            \
         "truncated ones: reward 0, left out of the loss, or DAPO's soft punishment")              \
    INT(overlong_buffer, XR_RUN_GRPO, 512, 512, 1, 1e9, "soft punishment's last tokens")           \
    TEXT(reward_kind, XR_RUN_GRPO | XR_RUN_DISTILL, "auto", "auto|math|choice|text",               \
         "how the verifier compares answer and gold")                                              \
    INT(max_items, XR_RUN_EVAL | XR_RUN_DISTILL, 0, 0, 0, 1e12, "of each dataset; 0: all")         \
    /* evaluation */                                                                               \
    BOOL(compare_forced_exit, XR_RUN_EVAL, false,                                                  \
         "answers with and without forced exit at think_budget, from one pass")                    \
    BOOL(without_images, XR_RUN_EVAL, false, "withhold the pictures (for eval --text-solvable)")   \
    TEXT(items, XR_RUN_EVAL, NULL, NULL,                                                           \
         "a file of items to keep, {\"dataset\": ..., \"id\": ...} a line")                        \
    TEXT(denominator, XR_RUN_EVAL, "published", "published|answered",                              \
         "what accuracies are divided by: the published number of items, or those answered")       \
    TEXT(system_prompt, XR_RUN_EVAL, NULL, NULL, "a system message before each question")          \
    INT(num_fewshot, XR_RUN_EVAL, 0, 0, 0, 64, "worked examples before each question")             \
    INT(min_pixels, XR_RUN_EVAL, 0, 0, 0, 1e9,                                                     \
        "of a resized picture; 0: as the model folder says")                                       \
    INT(max_pixels, XR_RUN_EVAL, 0, 0, 0, 1e9, "the same")                                         \
    TEXT(endpoint, XR_RUN_EVAL, NULL, NULL,                                                        \
         "base URL of an OpenAI-compatible server (http://host:port/v1) to ask instead")           \
    INT(num_concurrent, XR_RUN_EVAL, 8, 8, 1, 1024, "requests to the endpoint at a time")          \
    INT(max_retries, XR_RUN_EVAL, 5, 5, 0, 1000, "of a request that the endpoint did not answer")  \
    INT(timeout, XR_RUN_EVAL, 600, 600, 1, 1e6, "seconds that the endpoint has for a request")     \
    TEXT(responses, XR_RUN_EVAL, NULL, NULL,                                                       \
         "a file of responses to judge instead, {\"id\": ..., \"response\": ...} a line")

#endif
