#include "shared/verify/latex_clean.h"

#include "shared/base/memory.h"
#include "shared/base/utf8.h"
#include "shared/verify/latex_commands.h"

#include <ctype.h>
#include <string.h>
#include <utf8proc.h>

typedef struct Cleaner {
    const char *text;
    size_t bytes, at;
    XrBuffer *out;
    bool valid;
} Cleaner;

typedef struct Replacement {
    const char *from, *to;
} Replacement;

static const Replacement tags[] = {
    {"<sup>", "^{"}, {"</sup>", "}"}, {"<sub>", "_{"},  {"</sub>", "}"},
    {"<br>", " "},   {"<br/>", " "},  {"<b>", " "},     {"</b>", " "},
    {"<i>", " "},    {"</i>", " "},   {"<strong>", ""}, {"</strong>", ""},
    {"<em>", ""},    {"</em>", ""},   {"<p>", " "},     {"</p>", " "},
};

static const Replacement entities[] = {
    {"&lt;", "<"},           {"&gt;", ">"},          {"&le;", "\\le "},     {"&ge;", "\\ge "},
    {"&ne;", "\\ne "},       {"&amp;", "&"},         {"&nbsp;", " "},       {"&times;", "\\times "},
    {"&divide;", "\\div "},  {"&minus;", "-"},       {"&pi;", "\\pi "},     {"&deg;", "^{\\circ}"},
    {"&infin;", "\\infty "}, {"&radic;", "\\surd "}, {"&plusmn;", "\\pm "}, {"&middot;", "\\cdot "},
};

static bool replace(Cleaner *c, const Replacement *table, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(table[i].from);
        if (c->bytes - c->at >= length && !strncasecmp(c->text + c->at, table[i].from, length)) {
            xr_buffer_text(c->out, table[i].to);
            c->at += length;
            return true;
        }
    }
    return false;
}

// A program that read "\frac" as an escape sequence left a form feed and "rac". Puts the backslash
// back where the letters make a command; otherwise white space is a space, and the rest is invalid.
static void clean_control(Cleaner *c) {
    static const char escapes[] = "abtnvfr"; // bytes 7 to 13
    unsigned char byte = (unsigned char)c->text[c->at++];
    if (byte < 7 || byte > 13) {
        c->valid = false;
        return;
    }
    char name[24] = {escapes[byte - 7]};
    size_t length = 1;
    while (c->at + length - 1 < c->bytes && length < sizeof name - 1 &&
           isalpha((unsigned char)c->text[c->at + length - 1])) {
        name[length] = c->text[c->at + length - 1];
        length++;
    }
    if (length > 1 && xr_latex_command(name, length)) {
        xr_buffer_byte(c->out, '\\');
        xr_buffer_append(c->out, name, length);
        c->at += length - 1;
        return;
    }
    xr_buffer_byte(c->out, ' ');
}

// Runs of superscript or subscript characters become one ^{…} or _{…}.
static bool clean_script(Cleaner *c, uint32_t first) {
    static const struct {
        uint32_t from;
        char super, sub;
    } scripts[] = {
        {0xB2, '2', 0},   {0xB3, '3', 0},   {0xB9, '1', 0},   {0x2070, '0', 0}, {0x2071, 'i', 0},
        {0x2074, '4', 0}, {0x2075, '5', 0}, {0x2076, '6', 0}, {0x2077, '7', 0}, {0x2078, '8', 0},
        {0x2079, '9', 0}, {0x207A, '+', 0}, {0x207B, '-', 0}, {0x207D, '(', 0}, {0x207E, ')', 0},
        {0x207F, 'n', 0}, {0x02E3, 'x', 0}, {0x1D4F, 'k', 0}, {0x1D50, 'm', 0}, {0x2080, 0, '0'},
        {0x2081, 0, '1'}, {0x2082, 0, '2'}, {0x2083, 0, '3'}, {0x2084, 0, '4'}, {0x2085, 0, '5'},
        {0x2086, 0, '6'}, {0x2087, 0, '7'}, {0x2088, 0, '8'}, {0x2089, 0, '9'}, {0x208A, 0, '+'},
        {0x208B, 0, '-'}, {0x2090, 0, 'a'}, {0x2091, 0, 'e'}, {0x2093, 0, 'x'}, {0x2096, 0, 'k'},
        {0x2098, 0, 'm'}, {0x2099, 0, 'n'}, {0x1D62, 0, 'i'}, {0x2C7C, 0, 'j'},
    };
    char run[64];
    size_t count = 0, at = c->at;
    bool super = false;
    uint32_t code = first;
    for (;;) {
        size_t i = 0;
        while (i < XR_COUNT(scripts) && scripts[i].from != code) i++;
        if (i == XR_COUNT(scripts) || count == sizeof run) break;
        bool is_super = scripts[i].super != 0;
        if (count && is_super != super) break;
        super = is_super;
        run[count++] = super ? scripts[i].super : scripts[i].sub;
        c->at = at;
        int length = xr_utf8_decode(c->text + at, c->bytes - at, &code);
        if (!length) break;
        at += (size_t)length;
    }
    if (!count) return false;
    xr_buffer_text(c->out, super ? "^{" : "_{");
    xr_buffer_append(c->out, run, count);
    xr_buffer_byte(c->out, '}');
    return true;
}

// U+0305 and U+0304 (bar above), U+0307 (dot above) mark the digit before them as repeating.
static bool clean_combining(Cleaner *c, uint32_t code) {
    if (code != 0x305 && code != 0x304 && code != 0x307) return false;
    if (!c->out->length || !isdigit((unsigned char)c->out->data[c->out->length - 1])) return true;
    char digit = c->out->data[--c->out->length];
    xr_buffer_format(c->out, code == 0x307 ? "\\dot{%c}" : "\\overline{%c}", digit);
    return true;
}

// Letters and digits of other styles (bold, double-struck, full width) become plain ones.
static bool clean_compatible(Cleaner *c, uint32_t code) {
    bool styled = (code >= 0x1D400 && code <= 0x1D7FF) || (code >= 0xFF01 && code <= 0xFF5E) ||
                  (code >= 0x2460 && code <= 0x2473);
    if (!styled) return false;
    utf8proc_int32_t plain[8];
    int boundary = 0;
    utf8proc_ssize_t count = utf8proc_decompose_char(
        (utf8proc_int32_t)code, plain, 8, (utf8proc_option_t)(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT),
        &boundary);
    for (utf8proc_ssize_t i = 0; i < count && i < 8; i++) {
        const char *latex = xr_latex_of_character((uint32_t)plain[i]);
        char bytes[4];
        if (latex)
            xr_buffer_text(c->out, latex);
        else
            xr_buffer_append(c->out, bytes, (size_t)xr_utf8_encode((uint32_t)plain[i], bytes));
    }
    bool circled = code >= 0x2460 && code <= 0x2473;
    uint32_t next = 0;
    if (circled && xr_utf8_decode(c->text + c->at, c->bytes - c->at, &next) && next >= 0x2460 &&
        next <= 0x2473)
        xr_buffer_text(c->out, ", "); // statements 1 and 3, not thirteen
    return count > 0;
}

static void clean_wide(Cleaner *c) {
    uint32_t code = 0;
    size_t start = c->at;
    int length = xr_utf8_decode(c->text + c->at, c->bytes - c->at, &code);
    if (!length) {
        c->valid = false;
        c->at++;
        return;
    }
    c->at += (size_t)length;
    if (clean_script(c, code) || clean_combining(c, code)) return;
    const char *latex = xr_latex_of_character(code);
    if (latex)
        xr_buffer_text(c->out, latex);
    else if (!clean_compatible(c, code))
        xr_buffer_append(c->out, c->text + start, (size_t)length);
}

// "**" is Markdown's bold where it opens and closes the text, otherwise a power.
static void clean_stars(Cleaner *c, const bool bold) {
    if (c->at + 1 < c->bytes && c->text[c->at + 1] == '*') {
        xr_buffer_byte(c->out, bold ? ' ' : '^');
        c->at += 2;
        return;
    }
    xr_buffer_byte(c->out, '*');
    c->at++;
}

static bool plain_ascii(const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < ' ' || byte > '~' || byte == '<' || byte == '&' || byte == '*' || byte == '`')
            return false;
    }
    return true;
}

bool xr_latex_clean(const char *text, size_t bytes, XrBuffer *out) {
    xr_buffer_clear(out);
    if (plain_ascii(text, bytes)) {
        xr_buffer_append(out, text, bytes);
        return true;
    }
    Cleaner c = {.text = text, .bytes = bytes, .out = out, .valid = true};
    size_t begin = 0;
    while (begin < bytes && isspace((unsigned char)text[begin])) begin++;
    bool bold = bytes - begin >= 2 && text[begin] == '*' && text[begin + 1] == '*';
    while (c.at < bytes) {
        unsigned char byte = (unsigned char)text[c.at];
        if (byte >= 0x80)
            clean_wide(&c);
        else if (byte < ' ' || byte == 0x7F)
            clean_control(&c);
        else if (byte == '*')
            clean_stars(&c, bold);
        else if (byte == '<' && replace(&c, tags, XR_COUNT(tags)))
            continue;
        else if (byte == '&' && replace(&c, entities, XR_COUNT(entities)))
            continue;
        else {
            if (byte != '`') xr_buffer_byte(out, (char)byte);
            c.at++;
        }
    }
    return c.valid;
}
