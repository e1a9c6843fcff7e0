#include "shared/cli/chat_terminal.h"

#include "shared/base/file.h"
#include "shared/base/memory.h"
#include "shared/base/interrupt.h"

#include <histedit.h> // defines: el_init, el_gets, history
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_LINE = 16 << 20, MOST_HISTORY = 200 };

struct XrChatTerminal {
    EditLine *editor; // NULL where input is not a terminal
    History *history;
};

static char *prompt_text(EditLine *editor) {
    (void)editor;
    static char text[] = "> ";
    return text;
}

XrChatTerminal *xr_chat_terminal_open(void) {
    XrChatTerminal *t = xr_calloc(1, sizeof *t);
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) return t;
    setlocale(LC_CTYPE, ""); // the editor moves by characters of the terminal's encoding
    HistEvent event;
    t->history = history_init();
    t->editor = el_init("xreasoner", stdin, stdout, stderr);
    XR_REQUIRE(t->history && t->editor, "libedit cannot start");
    history(t->history, &event, H_SETSIZE, MOST_HISTORY);
    el_set(t->editor, EL_PROMPT, prompt_text);
    el_set(t->editor, EL_EDITOR, "emacs");
    el_set(t->editor, EL_HIST, history, t->history);
    el_source(t->editor, NULL);
    return t;
}

void xr_chat_terminal_close(XrChatTerminal *t) {
    if (!t) return;
    if (t->editor) el_end(t->editor);
    if (t->history) history_end(t->history);
    free(t);
}

bool xr_chat_terminal_is_edited(const XrChatTerminal *t) {
    return t->editor != NULL;
}

static bool line_begun(EditLine *editor) {
    const LineInfo *line = el_line(editor);
    return line->lastchar > line->buffer;
}

int xr_chat_terminal_read(XrChatTerminal *t, XrBuffer *line, XrError *err) {
    if (!t->editor) {
        int got = xr_read_line(stdin, MOST_LINE, line, err);
        if (got < 0 && xr_interrupted()) return 0;
        if (got > 0 && line->length && line->data[line->length - 1] == '\r') {
            line->data[--line->length] = '\0';
        }
        return got;
    }
    int count = 0;
    const char *text = el_gets(t->editor, &count);
    while (xr_interrupted() && line_begun(t->editor)) { // Ctrl-C gives up the line
        fputc('\n', stdout);
        xr_interrupt_clear();
        text = el_gets(t->editor, &count);
    }
    if (!text || count <= 0 || xr_interrupted()) {
        fputc('\n', stdout);
        return 0;
    }
    HistEvent event;
    if (text[0] != '\n') history(t->history, &event, H_ENTER, text);
    xr_buffer_clear(line);
    xr_buffer_append(line, text, strcspn(text, "\r\n"));
    return 1;
}
