// The program's commands. Each lives in shared/cli/NAME.c as
// `int xr_command_NAME(int argc, char **argv)`, which takes the arguments after the command's name
// and returns the exit code: 0 done, 1 failed, 2 wrong usage.
#ifndef XR_CLI_COMMANDS_H
#define XR_CLI_COMMANDS_H

// X(name, one line for --help), in the order of --help.
#define XR_COMMANDS(X)                                                                             \
    X(bench, "times operations and whole jobs beside what the hardware can do")                    \
    X(chat, "answers to text and pictures: one prompt, or a conversation")                         \
    X(demo, "the whole recipe on the tiny world, ending in a page about it")                       \
    X(distill, "a teacher's answers that the verifier accepts, as data for sft")                   \
    X(eval, "benchmarks, as published")                                                            \
    X(forward, "one request through the model, inputs and results written for comparison")         \
    X(tokenize, "text to token ids and back, as JSON Lines")                                       \
    X(grpo, "reinforcement learning with verifiable rewards")                                      \
    X(report, "one page about runs: curves, tables, samples")                                      \
    X(sft, "supervised fine-tuning")                                                               \
    X(verify, "whether answers are right, as JSON Lines")                                          \
    X(world, "the tiny world: data, an untrained model, and what a model knows of it")

#define XR_DECLARE_COMMAND(name, help) int xr_command_##name(int argc, char **argv);
XR_COMMANDS(XR_DECLARE_COMMAND)

#endif
