#include "shared/verify/math_lexer.h"

#include "shared/base/memory.h"
#include "shared/base/utf8.h"
#include "shared/verify/expr.h"
#include "shared/verify/latex_commands.h"
#include "shared/verify/math_words.h"
#include "shared/verify/unit_table.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct Lexer {
    XrTokens *out;
    const char *text;
    size_t bytes, at;
    size_t text_end, roman_end; // where the words of \text, \mathrm end
    int depth;                  // of brackets that commas can stand in
    uint64_t spaced;            // bit by depth: the commas there are followed by spaces
    int environments;
    bool dollars, in_math; // dollars pair up; inside a pair
    bool space;
} Lexer;

static char peek(const Lexer *l, size_t ahead) {
    return l->at + ahead < l->bytes ? l->text[l->at + ahead] : 0;
}

static bool letter_at(const Lexer *l, size_t at) {
    if (at >= l->bytes) return false;
    unsigned char byte = (unsigned char)l->text[at];
    return isalpha(byte) || byte >= 0x80;
}

static XrToken *push(Lexer *l, XrTokenType type, int id, size_t start, size_t length) {
    XrTokens *out = l->out;
    if (out->count + 2 > out->room) {
        out->room = XR_MAX(64, out->room * 2);
        out->items = xr_realloc(out->items, sizeof(XrToken) * (size_t)out->room);
    }
    if (out->count >= XR_TOKENS_MOST) {
        out->over = true;
        out->count = XR_TOKENS_MOST - 1;
    }
    XrToken *token = &out->items[out->count++];
    *token = (XrToken){.type = (uint8_t)type,
                       .id = (uint16_t)id,
                       .start = (uint32_t)start,
                       .length = (uint32_t)length};
    if (l->space) token->flags |= XR_TF_SPACE;
    if (start < l->text_end || (l->dollars && !l->in_math)) token->flags |= XR_TF_TEXT;
    if (start < l->roman_end) token->flags |= XR_TF_ROMAN;
    l->space = false;
    return token;
}

// braces[i] is the place after the brace that closes the one at i, for every opening brace.
static void match_braces(XrTokens *out) {
    if (out->brace_room < out->bytes + 1) {
        out->brace_room = out->bytes + 1;
        out->braces = xr_realloc(out->braces, sizeof(uint32_t) * out->brace_room);
    }
    uint32_t open =
        UINT32_MAX; // a list through the array: each open brace points to the one before
    for (size_t i = 0; i < out->bytes; i++) {
        if (out->text[i] == '\\') {
            i++;
        } else if (out->text[i] == '{') {
            out->braces[i] = open;
            open = (uint32_t)i;
        } else if (out->text[i] == '}' && open == UINT32_MAX) {
            out->braces[i] = 0;
        } else if (out->text[i] == '}') {
            uint32_t before = out->braces[open];
            out->braces[open] = (uint32_t)i + 1;
            out->braces[i] = 0;
            open = before;
        }
    }
    while (open != UINT32_MAX) {
        uint32_t before = out->braces[open];
        out->braces[open] = (uint32_t)out->bytes;
        open = before;
    }
}

// Whether the commas of the bracket that opens at `at` are followed by spaces.
static bool has_spaced_comma(const Lexer *l, size_t at) {
    int depth = 0;
    for (size_t i = at; i < l->bytes && i < at + 200; i++) {
        char c = l->text[i];
        if (c == '(' || c == '[' || c == '{') depth++;
        if ((c == ')' || c == ']' || c == '}') && --depth <= 0) return false;
        if (c == ',' && depth == 1 && i + 1 < l->bytes &&
            (l->text[i + 1] == ' ' || (l->text[i + 1] == '\\' && l->text[i + 2] != '!')))
            return true;
    }
    return false;
}

static void open_bracket(Lexer *l) {
    l->depth++;
    if (l->depth < 64) {
        l->spaced &= ~(1ull << l->depth);
        if (has_spaced_comma(l, l->at)) l->spaced |= 1ull << l->depth;
    }
}

static void close_bracket(Lexer *l) {
    if (l->depth) l->depth--;
}

static void push_command(Lexer *l, const XrCommand *command, size_t start, size_t length) {
    static const uint8_t types[] = {
        [XR_C_SYMBOL] = XR_T_SYMBOL,     [XR_C_FUNCTION] = XR_T_FUNCTION,
        [XR_C_CONSTANT] = XR_T_CONSTANT, [XR_C_RELATION] = XR_T_RELATION,
        [XR_C_MARK] = XR_T_MARK,         [XR_C_BUILD] = XR_T_BUILD};
    push(l, types[command->class], command->id, start, length);
}

static void push_symbol(Lexer *l, size_t start, size_t length) {
    if (length == 1 && l->text[start] == 'e')
        push(l, XR_T_CONSTANT, XR_E_EULER, start, length);
    else if (length == 1 && l->text[start] == 'i')
        push(l, XR_T_CONSTANT, XR_E_I, start, length);
    else
        push(l, XR_T_SYMBOL, 0, start, length);
}

static void push_word(Lexer *l, size_t start, size_t length, const XrWord *word) {
    XrToken *token = push(l, XR_T_WORD, word ? word->class : XR_W_UNKNOWN, start, length);
    token->value = word ? word->value : 0;
}

static bool after_digit(const Lexer *l, size_t start, bool space_allowed) {
    while (space_allowed && start && l->text[start - 1] == ' ') start--;
    return start && isdigit((unsigned char)l->text[start - 1]);
}

// Whether a run of letters in plain text is a word rather than a product of variables.
static bool is_word(const Lexer *l, size_t start, size_t length, const XrWord *word) {
    const char *run = l->text + start;
    if (length == 2 && word) {
        if (word->class == XR_W_AM || word->class == XR_W_PM) return after_digit(l, start, true);
        if (word->class == XR_W_ORDINAL) return after_digit(l, start, false);
        size_t next = start + length;
        while (next < l->bytes && l->text[next] == ' ') next++;
        bool certain = (!strncmp(run, "to", 2) && after_digit(l, start, true)) ||
                       word->class == XR_W_OR || word->class == XR_W_STOP || !strncmp(run, "is", 2);
        return certain || (next > start + length && letter_at(l, next));
    }
    if (word || length >= 4) return true;
    return xr_unit_find(run, length) != NULL;
}

// "sinx", "2pir": a name of a function or constant with one or two variables after it.
static size_t named_prefix(const Lexer *l, size_t start, size_t length) {
    for (size_t rest = 1; rest <= 2 && rest + 2 <= length; rest++) {
        const XrCommand *command = xr_latex_plain_name(l->text + start, length - rest);
        if (command && command->class != XR_C_SYMBOL && command->class != XR_C_RELATION)
            return length - rest;
    }
    return 0;
}

static void lex_letters(Lexer *l) {
    size_t start = l->at;
    while (letter_at(l, l->at)) l->at++;
    size_t length = l->at - start;
    const char *run = l->text + start;
    bool words = start < l->text_end || start < l->roman_end || (l->dollars && !l->in_math);
    if (length == 1 && peek(l, 0) == '.' && (peek(l, 1) | 32) == 'm' && peek(l, 2) == '.' &&
        ((run[0] | 32) == 'a' || (run[0] | 32) == 'p')) {
        push(l, XR_T_WORD, (run[0] | 32) == 'a' ? XR_W_AM : XR_W_PM, start, 4);
        l->at += 3;
        return;
    }
    if ((length == 1 || (length == 2 && (run[0] & 0xE0) == 0xC0)) && !words) {
        push_symbol(l, start, length);
        return;
    }
    const XrCommand *command = length > 1 ? xr_latex_plain_name(run, length) : NULL;
    bool minutes = command && command->id == XR_FN_MIN && after_digit(l, start, true);
    if (command && !minutes) {
        push_command(l, command, start, length);
        return;
    }
    const XrWord *word = xr_math_word(run, length);
    // A letter alone is an article only before another word.
    if (length == 1 && !(run[0] == 'a' && peek(l, 0) == ' ' && letter_at(l, l->at + 1)))
        word = NULL;
    if (words || is_word(l, start, length, word)) {
        size_t prefix =
            words || word || xr_unit_find(run, length) ? 0 : named_prefix(l, start, length);
        if (!prefix) {
            push_word(l, start, length, word);
            return;
        }
        length = prefix;
    } else {
        length = named_prefix(l, start, length);
    }
    if (length) push_command(l, xr_latex_plain_name(run, length), start, length);
    for (size_t i = start + length; i < l->at;) {
        uint32_t code;
        int step = xr_utf8_decode(l->text + i, l->at - i, &code);
        push_symbol(l, i, step ? (size_t)step : 1);
        i += step ? (size_t)step : 1;
    }
}

enum { SWALLOWED = 1 }; // in `braces`, at a closing brace that only ended \text, \mathrm or \boxed

// \text and its kin: marks where the words end and steps over the opening brace.
static void enter_argument(Lexer *l, XrCommandClass class) {
    while (peek(l, 0) == ' ') l->at++;
    if (peek(l, 0) != '{') return;
    size_t end = l->out->braces[l->at];
    if (class == XR_C_ROMAN) l->roman_end = XR_MAX(l->roman_end, end);
    if (class == XR_C_TEXT) l->text_end = XR_MAX(l->text_end, end);
    l->out->braces[end - 1] = SWALLOWED;
    l->space = true;
    l->at++;
}

static void skip_argument(Lexer *l) {
    while (peek(l, 0) == ' ') l->at++;
    if (peek(l, 0) == '{') l->at = l->out->braces[l->at];
}

static void size_of_delimiter(Lexer *l, bool left, bool right) {
    while (peek(l, 0) == ' ') l->at++;
    char c = peek(l, 0);
    if (c == '.') l->at++;
    if (c == '|' && (left || right)) {
        push(l, XR_T_MARK, left ? XR_M_LBAR : XR_M_RBAR, l->at, 1);
        l->at++;
    }
    if ((c == '<' && left) || (c == '>' && right)) {
        push(l, XR_T_MARK, left ? XR_M_LANGLE : XR_M_RANGLE, l->at, 1);
        l->at++;
    }
}

static void lex_name(Lexer *l, size_t backslash) {
    size_t start = l->at;
    while (isalpha((unsigned char)peek(l, 0))) l->at++;
    size_t length = l->at - start;
    const XrCommand *command = xr_latex_command(l->text + start, length);
    if (!command) {
        push(l, XR_T_SYMBOL, 0, backslash, l->at - backslash)->flags |= XR_TF_COMMAND;
        return;
    }
    switch (command->class) {
    case XR_C_SKIP:
        l->space = true;
        return;
    case XR_C_DELIMITER_SIZE:
        size_of_delimiter(l, !strncmp(l->text + start, "left", 4),
                          !strncmp(l->text + start, "right", 5));
        return;
    case XR_C_TEXT:
    case XR_C_ROMAN:
    case XR_C_TRANSPARENT:
        enter_argument(l, command->class);
        return;
    case XR_C_FONT:
        return;
    case XR_C_DROP:
        skip_argument(l);
        return;
    default:
        break;
    }
    if (command->class == XR_C_BUILD && command->id == XR_B_BEGIN) l->environments++;
    if (command->class == XR_C_BUILD && command->id == XR_B_END) l->environments--;
    if (command->class == XR_C_MARK && command->id == XR_M_LBRACE) open_bracket(l);
    if (command->class == XR_C_MARK && command->id == XR_M_RBRACE) close_bracket(l);
    push_command(l, command, start, length);
    l->out->items[l->out->count - 1].flags |= XR_TF_COMMAND;
}

static void lex_backslash(Lexer *l) {
    size_t start = l->at++;
    char c = peek(l, 0);
    if (isalpha((unsigned char)c)) {
        lex_name(l, start);
        return;
    }
    l->at++;
    switch (c) {
    case '\\': {
        size_t end = l->at;
        while (end < l->bytes && isalpha((unsigned char)l->text[end])) end++;
        if (!l->environments && end > l->at && xr_latex_command(l->text + l->at, end - l->at)) {
            lex_name(l, start);
            return;
        }
        push(l, XR_T_MARK, XR_M_ROW, start, 2);
        return;
    }
    case '{':
        open_bracket(l);
        push(l, XR_T_MARK, XR_M_LBRACE, start, 2);
        return;
    case '}':
        close_bracket(l);
        push(l, XR_T_MARK, XR_M_RBRACE, start, 2);
        return;
    case '|':
        push(l, XR_T_MARK, XR_M_NORM, start, 2);
        return;
    case '%':
        push(l, XR_T_MARK, XR_M_PERCENT, start, 2);
        return;
    case '$':
        push(l, XR_T_MARK, XR_M_CURRENCY, start, 2);
        return;
    case '&':
        push(l, XR_T_MARK, '&', start, 2);
        return;
    case '_':
    case '#':
    case '^':
    case '"':
    case '~':
        push(l, XR_T_MARK, XR_M_PRIME + 100, start, 2); // of no meaning here: cannot be parsed
        return;
    default:
        l->space = true; // \, \; \! \( \] and the like
    }
}

static void lex_dollar(Lexer *l) {
    if (l->dollars) {
        l->in_math = !l->in_math;
        l->space = true;
        l->at++;
        return;
    }
    size_t next = l->at + 1;
    while (next < l->bytes && l->text[next] == ' ') next++;
    bool amount =
        next < l->bytes && (isdigit((unsigned char)l->text[next]) || l->text[next] == '.');
    if (amount) push(l, XR_T_MARK, XR_M_CURRENCY, l->at, 1);
    l->at++;
}

static bool lex_relation(Lexer *l, char c) {
    char next = peek(l, 1);
    int id = -1;
    size_t length = 1;
    if (c == '=') id = XR_R_EQUAL, length = next == '=' ? 2 : 1;
    if (c == '=' && next == '>') id = XR_R_IMPLIES, length = 2;
    if (c == '-' && next == '>') id = XR_R_IMPLIES, length = 2;
    if (c == '<') id = next == '=' ? XR_R_LESS_EQUAL : XR_R_LESS, length = next == '=' ? 2 : 1;
    if (c == '>')
        id = next == '=' ? XR_R_GREATER_EQUAL : XR_R_GREATER, length = next == '=' ? 2 : 1;
    // "5!=120" is a factorial, "x != 3" a relation.
    if (c == '!' && next == '=' && (l->space || !after_digit(l, l->at, false)))
        id = XR_R_NOT_EQUAL, length = 2;
    if (id < 0) return false;
    push(l, XR_T_RELATION, id, l->at, length);
    l->at += length;
    return true;
}

static void lex_mark(Lexer *l, char c) {
    size_t start = l->at++;
    if (c == '}' && l->out->braces[start] == SWALLOWED) {
        l->space = true;
        return;
    }
    if (c == '(' || c == '[') {
        l->at--;
        open_bracket(l);
        l->at++;
    }
    if (c == ')' || c == ']') close_bracket(l);
    int id = (unsigned char)c;
    if (c == '%') id = XR_M_PERCENT;
    if (c == '\'') id = XR_M_PRIME;
    push(l, XR_T_MARK, id, start, 1);
}

static void lex_one(Lexer *l) {
    char c = peek(l, 0);
    bool digit = isdigit((unsigned char)c);
    if (digit || (c == '.' && isdigit((unsigned char)peek(l, 1)))) {
        bool spaced = l->depth < 64 && (l->spaced >> l->depth & 1);
        size_t start = l->at, end = xr_number_literal_end(l->out, start, l->depth, spaced);
        XrToken *token = push(l, XR_T_NUMBER, 0, start, end - start);
        bool digits = true;
        for (size_t i = start; i < end && digits; i++) digits = isdigit((unsigned char)l->text[i]);
        if (digits) token->flags |= XR_TF_DIGITS;
        l->at = end;
    } else if (letter_at(l, l->at)) {
        lex_letters(l);
    } else if (c == '\\') {
        lex_backslash(l);
    } else if (c == '$') {
        lex_dollar(l);
    } else if (c == ' ' || c == '~' || c == '"') {
        l->space = true;
        l->at++;
    } else if (c == '.' && peek(l, 1) == '.' && peek(l, 2) == '.') {
        push(l, XR_T_MARK, XR_M_ELLIPSIS, l->at, 3);
        l->at += 3;
    } else if (c == '.') {
        l->at++; // the end of a sentence
    } else if (!lex_relation(l, c)) {
        lex_mark(l, c);
    }
}

void xr_math_lex(XrTokens *tokens, const char *text, size_t bytes, unsigned reading) {
    tokens->text = text;
    tokens->bytes = bytes;
    tokens->count = 0;
    tokens->reading = reading;
    tokens->ambiguous = 0;
    tokens->over = false;
    match_braces(tokens);
    Lexer l = {.out = tokens, .text = text, .bytes = bytes};
    int dollars = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\\')
            i++;
        else if (text[i] == '$')
            dollars++;
    }
    l.dollars = dollars && dollars % 2 == 0;
    while (l.at < bytes && !tokens->over) lex_one(&l);
    push(&l, XR_T_END, 0, bytes, 0);
    tokens->count--;
}

void xr_math_tokens_free(XrTokens *tokens) {
    free(tokens->items);
    free(tokens->braces);
    *tokens = (XrTokens){0};
}
