// Thinking and its forced end (docs/engine.md, "Forced exit"). "</think>" is text that spans
// several tokens: it is looked for in the decoded bytes, and injected as ids.
#ifndef XR_ENGINE_FORCED_EXIT_H
#define XR_ENGINE_FORCED_EXIT_H

#include "shared/base/error.h"
#include "shared/text/encoder.h"

#include <stdbool.h>
#include <stddef.h>

// Where a response stands.
typedef struct XrThinking {
    bool open;      // it is thinking
    bool tagged;    // <think> or </think> was seen
    size_t scanned; // bytes in which tags have been looked for
} XrThinking;

// Follows the tags in bytes[scanned..count) of a growing text. A tag that is not whole yet is
// looked at again in the next call.
void xr_thinking_follow(XrThinking *thinking, const char *bytes, size_t count);

// The text at a forced exit.
typedef struct XrExitPlace {
    const char *tail; // the prompt's text after its last control token
    size_t tail_bytes;
    bool tail_tagged; // with <think> or </think> in it
    const char *raw;  // the response's bytes so far
    size_t raw_bytes;
    const char *suffix; // what follows </think>
} XrExitPlace;

// Appends the ids that close the thinking. What they say is, in this order: the bytes that complete
// a character which the response ends inside of; the rest of a "</think>" that it ends inside of,
// or else "</think>" on a line of its own; the suffix. A response that is still empty, and that the
// prompt has not opened, gets an empty thought: "<think>\n\n</think>". The text is tokenised by
// itself, with control tokens recognised (in vocabularies that have one for </think>). Fails when
// the suffix is not UTF-8.
bool xr_forced_exit(XrIds *out, XrEncoder *encoder, const XrTokenizer *tokenizer,
                    const XrExitPlace *place, XrError *err);

// The most ids that xr_forced_exit appends with this suffix.
bool xr_forced_exit_longest(int64_t *out, XrEncoder *encoder, const XrTokenizer *tokenizer,
                            const char *suffix, XrError *err);

#endif
