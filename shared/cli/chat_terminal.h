// Lines from the user of a conversation: edited on a terminal, read as they are otherwise.
#ifndef XR_CLI_CHAT_TERMINAL_H
#define XR_CLI_CHAT_TERMINAL_H

#include "shared/base/buffer.h"
#include "shared/base/error.h"

typedef struct XrChatTerminal XrChatTerminal;

XrChatTerminal *xr_chat_terminal_open(void);
void xr_chat_terminal_close(XrChatTerminal *terminal);
// Whether a person is typing.
bool xr_chat_terminal_is_edited(const XrChatTerminal *terminal);
// Reads a line without its end. Returns 1; 0 at the end of input or after Ctrl-C on an empty line;
// -1 with an error.
int xr_chat_terminal_read(XrChatTerminal *terminal, XrBuffer *line, XrError *err);

#endif
