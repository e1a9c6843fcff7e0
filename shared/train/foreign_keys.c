#include "shared/train/foreign_keys.h"

#include "shared/base/memory.h"

#include <string.h>

typedef struct ForeignKey {
    const char *name, *here;
} ForeignKey;

static const ForeignKey KEYS[] = {
    // transformers
    {"fp16", "training is in f32, or in bf16 with \"bf16\"; \"dtype\" is the type of weights that "
             "are not trained, \"save_dtype\" that of model/"},
    {"bf16_full_eval", "evaluation computes in what training does: see \"bf16\""},
    {"torch_dtype", "use \"dtype\""},
    {"optim", "the optimiser is always AdamW"},
    {"lr", "use \"learning_rate\""},
    {"lr_scheduler_kwargs", "epoch_decay's factor is \"lr_epoch_decay\""},
    {"eval_strategy", "use \"eval_steps\""},
    {"evaluation_strategy", "use \"eval_steps\""},
    {"save_strategy", "use \"save_steps\""},
    {"logging_strategy", "use \"logging_steps\""},
    {"per_device_eval_batch_size", "evaluation takes \"per_device_train_batch_size\""},
    {"resume_from_checkpoint", "use the option --resume"},
    {"report_to", "metrics.jsonl has everything, and xreasoner report draws it"},
    {"gradient_checkpointing_kwargs", "\"gradient_checkpointing\" has no settings"},
    {"tf32", "products are in f32 without TF32"},
    {"deepspeed", "\"offload_optimizer\" and \"gradient_checkpointing\" save memory"},
    {"fsdp", "\"offload_optimizer\" and \"gradient_checkpointing\" save memory"},
    {"disable_dropout", "the model has no dropout"},
    // TRL, sft
    {"max_seq_length", "use \"max_length\""},
    {"dataset_name", "use \"train_dataset\": [{\"path\": FILE}]"},
    {"dataset_text_field", "use \"format\" in \"train_dataset\""},
    {"assistant_only_loss", "the loss is always on assistants' tokens alone"},
    {"completion_only_loss", "the loss is always on assistants' tokens alone"},
    {"packing_strategy", "\"packing\" takes rows in order and never cuts one to fill a sequence"},
    {"padding_free", "nothing is ever padded"},
    {"truncation_mode", "use \"overlong\""},
    {"use_liger_kernel", "log-probabilities are always fused with the head"},
    // TRL, grpo
    {"mask_truncated_completions", "use \"overlong_responses\": \"mask\""},
    {"delta", "use \"dual_clip\", which bounds the same"},
    {"generation_batch_size", "use \"steps_per_generation\""},
    {"num_generations_eval", "evaluation takes one greedy answer"},
    {"log_completions", "all are in samples.jsonl"},
    {"importance_sampling_level", "ratios are always of tokens"},
    {"vllm_importance_sampling_correction",
     "sampler and trainer agree bit for bit, so there is nothing to correct"},
    {"sync_ref_model", "the reference is always the model that the run starts from"},
    {"use_vllm", "rollouts are always made by the program itself"},
    {"reward_funcs", "the reward is the verifier's; see \"reward_kind\""},
    {"reward_weights", "there is one reward"},
    {"soft_punish_cache", "use \"overlong_responses\": \"soft\" and \"overlong_buffer\""},
    {"min_p", "sampling has \"temperature\", \"top_k\", \"top_p\" and \"repetition_penalty\""},
    // verl
    {"clip_ratio", "use \"epsilon\""},
    {"clip_ratio_low", "use \"epsilon\""},
    {"clip_ratio_high", "use \"epsilon_high\""},
    {"clip_ratio_c", "use \"dual_clip\""},
    {"kl_coef", "use \"beta\""},
    {"kl_loss_coef", "use \"beta\""},
    {"kl_loss_type", "use \"kl_estimator\""},
    {"loss_agg_mode", "use \"loss_type\""},
    {"norm_adv_by_std_in_grpo", "use \"scale_rewards\""},
    {"ppo_epochs", "use \"num_iterations\""},
    {"train_batch_size", "\"per_device_train_batch_size\" x \"gradient_accumulation_steps\" is the "
                         "number of responses in a step"},
    {"ppo_mini_batch_size", "use \"steps_per_generation\""},
    {"optimizer_offload", "use \"offload_optimizer\""},
    {"grad_clip", "use \"max_grad_norm\""},
    {"max_response_length", "use \"max_completion_length\""},
    {"overlong_buffer_len", "use \"overlong_responses\": \"soft\" and \"overlong_buffer\""},
    {"filter_groups", "use \"dynamic_sampling\""},
    // adapters
    {"use_peft", "there are no adapters: all weights of the language model are trained"},
    {"peft_config", "there are no adapters: all weights of the language model are trained"},
    {"lora_r", "there are no adapters: all weights of the language model are trained"},
    {"lora_rank", "there are no adapters: all weights of the language model are trained"},
    {"lora_alpha", "there are no adapters: all weights of the language model are trained"},
    {"lora_dropout", "there are no adapters: all weights of the language model are trained"},
    {"lora_target", "there are no adapters: all weights of the language model are trained"},
    {"lora_target_modules", "there are no adapters: all weights of the language model are trained"},
    {"finetuning_type", "all weights of the language model are trained"},
    {"load_in_4bit", "weights are not quantised: see \"dtype\" and \"offload_optimizer\""},
    {"load_in_8bit", "weights are not quantised: see \"dtype\" and \"offload_optimizer\""},
    // LLaMA-Factory
    {"cutoff_len", "use \"max_length\""},
    {"freeze_vision_tower", "it is frozen unless \"train_vision\" is true"},
    {"neat_packing", "\"packing\" never lets one row attend to another"},
};

const char *xr_foreign_key(const char *name) {
    for (size_t i = 0; i < XR_COUNT(KEYS); i++) {
        if (strcmp(KEYS[i].name, name) == 0) return KEYS[i].here;
    }
    return NULL;
}
