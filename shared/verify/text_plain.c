// defines: xr_plain_text, xr_hides_text
#include "shared/verify/text_answer.h"

#include "shared/base/utf8.h"

#include <utf8proc.h> // defines: utf8proc_decompose_char

enum { MAX_DEPTH = 64, MAX_COMMAND = 24 };

// Commands whose argument reads the same without them.
static const char *const FONTS[] = {
    "text",         "textbf",       "textit",    "textrm",     "textsf", "texttt", "textup",
    "textnormal",   "mathrm",       "mathbf",    "mathit",     "mathsf", "mathtt", "mathnormal",
    "mathbb",       "emph",         "mbox",      "boldsymbol", "bm",     "boxed",  "fbox",
    "operatorname", "hbox",         "underline", "rm",         "bf",     "it",     "left",
    "right",        "displaystyle", "textstyle", "big",        "Big",    "bigl",   "bigr",
    "limits",       "ensuremath",   "textnormal"};

typedef struct Plain {
    XrBuffer *out;
    XrSpan text;
    size_t at;
    bool dropped[MAX_DEPTH]; // for each open brace: its pair is not copied
    int depth;
    bool after_font, after_command; // what the next brace belongs to
} Plain;

static bool among(XrSpan name, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (xr_span_is(name, names[i])) return true;
    }
    return false;
}

// A command of letters; `at` is at its backslash.
static void plain_command(Plain *p) {
    size_t end = p->at + 1;
    while (end < p->text.bytes && xr_is_letter(p->text.data[end])) end++;
    XrSpan name = xr_span_cut(p->text, p->at + 1, end);
    p->at = end;
    if (xr_span_is(name, "quad") || xr_span_is(name, "qquad")) {
        xr_buffer_byte(p->out, ' ');
    } else if (name.bytes <= MAX_COMMAND && among(name, FONTS, sizeof FONTS / sizeof *FONTS)) {
        p->after_font = true;
    } else {
        xr_buffer_byte(p->out, '\\');
        xr_buffer_append(p->out, name.data, name.bytes);
        p->after_command = true;
    }
}

// A backslash and one other character.
static void plain_escape(Plain *p) {
    char c = p->at + 1 < p->text.bytes ? p->text.data[p->at + 1] : ' ';
    p->at += 2;
    if (c == '!' || (c && strchr("()[]", c))) return;
    if (c && strchr(",;: \\\n\t", c))
        xr_buffer_byte(p->out, ' ');
    else if (c && strchr("%$&#_{}", c))
        xr_buffer_byte(p->out, c);
    else
        p->at--, xr_buffer_byte(p->out, '\\'); // the character itself comes next
}

static void plain_brace(Plain *p, char c) {
    p->at++;
    if (c == '{') {
        bool keep = !p->after_font && p->after_command;
        if (p->depth < MAX_DEPTH) p->dropped[p->depth] = !keep;
        p->depth++;
        if (keep || p->depth > MAX_DEPTH) xr_buffer_byte(p->out, c);
        p->after_font = p->after_command = false;
        return;
    }
    bool drop = p->depth > 0 && p->depth <= MAX_DEPTH && p->dropped[p->depth - 1];
    if (p->depth > 0) p->depth--;
    if (!drop) xr_buffer_byte(p->out, c);
    p->after_font = false;
    p->after_command = !drop; // \frac{1}{2}: the next brace belongs to the same command
}

// What a character outside ASCII is written as: 0 for nothing, itself where there is no simpler
// form.
static uint32_t simpler(uint32_t c) {
    if (c >= 0xFF01 && c <= 0xFF5E) return c - 0xFF01 + 0x21;
    if (c == 0xA0 || c == 0x3000 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F || c == 0x205F)
        return ' ';
    if ((c >= 0x200B && c <= 0x200F) || c == 0x2060 || c == 0xFEFF || c == 0xAD) return 0;
    if (c == 0x2018 || c == 0x2019) return '\'';
    if (c == 0x201C || c == 0x201D) return '"';
    if ((c >= 0x2010 && c <= 0x2015) || c == 0x2212) return '-';
    if (c == 0x3002) return '.';
    if (c == 0x3001) return ',';
    if (c == 0x3010) return '[';
    if (c == 0x3011) return ']';
    if (c >= 0x1D400 && c <= 0x1D7FF) { // letters and digits of mathematical fonts
        utf8proc_int32_t plain[4];
        int last = 0;
        utf8proc_ssize_t count = utf8proc_decompose_char(
            (utf8proc_int32_t)c, plain, 4, UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE, &last);
        if (count == 1) return (uint32_t)plain[0];
    }
    return c;
}

static void plain_wide(Plain *p) {
    uint32_t c = 0xFFFD;
    char bytes[4];
    int length = xr_utf8_decode(p->text.data + p->at, p->text.bytes - p->at, &c);
    p->at += length ? (size_t)length : 1;
    c = length ? simpler(c) : 0xFFFD;
    if (c) xr_buffer_append(p->out, bytes, (size_t)xr_utf8_encode(c, bytes));
}

// Whether the tilde at `at` is TeX's space ("2~\mathrm{cm}", "Fig.~1") rather than a sign of its
// own.
static bool is_tie(XrSpan text, size_t at) {
    char before = at > 0 ? text.data[at - 1] : ' ',
         after = at + 1 < text.bytes ? text.data[at + 1] : ' ';
    return after == '\\' || after == '~' || xr_is_letter(before) || xr_is_digit(before) ||
           (before && strchr(".,{}$", before));
}

void xr_plain_text(XrSpan text, XrBuffer *out) {
    text = xr_span_trim(text);
    while (text.bytes && (text.data[0] == '*' || text.data[0] == '_')) text.data++, text.bytes--;
    while (text.bytes && (text.data[text.bytes - 1] == '*' || text.data[text.bytes - 1] == '_'))
        text.bytes--;
    Plain p = {.out = out, .text = text};
    while (p.at < text.bytes) {
        char c = text.data[p.at];
        if (c == '\\' && p.at + 1 < text.bytes && xr_is_letter(text.data[p.at + 1])) {
            plain_command(&p);
            continue;
        }
        if (c == '{' || c == '}') {
            plain_brace(&p, c);
            continue;
        }
        if (c != ' ') p.after_font = false;
        if (c != ' ') p.after_command = c == '^' || c == '_';
        if (c == '\\')
            plain_escape(&p);
        else if (c & 0x80)
            plain_wide(&p);
        else if (c == '$' || c == '`')
            p.at++;
        else if (c == '*' && xr_span_has_at(text, p.at, "**"))
            p.at += 2;
        else
            xr_buffer_byte(out, c == '~' && is_tie(text, p.at) ? ' ' : c), p.at++;
    }
}

// ---- hidden text ----

static const char *const HIDING[] = {"\\phantom",
                                     "\\hphantom",
                                     "\\vphantom",
                                     "\\color{white}",
                                     "\\textcolor{white}",
                                     "\\iffalse",
                                     "\\def",
                                     "\\newcommand",
                                     "\\renewcommand",
                                     "\\providecommand",
                                     "\\let\\",
                                     "\\gdef",
                                     "\\edef",
                                     "\\catcode",
                                     "\\rlap",
                                     "\\llap",
                                     "\\smash",
                                     "\\makebox[0",
                                     "\\fontsize{0",
                                     "\\scalebox{0",
                                     "\\kern-",
                                     "\\hspace{-",
                                     "\\hspace*{-",
                                     "\\mathrlap",
                                     "\\mathllap",
                                     "<!--",
                                     "display:none",
                                     "visibility:hidden",
                                     "<script",
                                     "<style",
                                     "\\special",
                                     "\\input",
                                     "\\include",
                                     "\\write18",
                                     "\\transparent"};

// Whether a mark that reverses or overrides the direction of writing stands at `at`: U+202A to
// U+202E, U+2066 to U+2069.
static bool reorders(XrSpan text, size_t at) {
    if (at + 3 > text.bytes || text.data[at] != (char)0xE2) return false;
    unsigned char second = (unsigned char)text.data[at + 1],
                  third = (unsigned char)text.data[at + 2];
    return (second == 0x80 && third >= 0xAA && third <= 0xAE) ||
           (second == 0x81 && third >= 0xA6 && third <= 0xA9);
}

bool xr_hides_text(XrSpan text, const char **what) {
    bool suspicious = false;
    for (size_t i = 0; i < text.bytes && !suspicious; i++) {
        char c = text.data[i];
        suspicious = c == '\\' || c == '<' || c == ':' || (c & 0x80);
    }
    for (size_t i = 0; suspicious && i < sizeof HIDING / sizeof *HIDING; i++) {
        size_t at = xr_span_find(text, HIDING[i], 0);
        size_t end = at + strlen(HIDING[i]);
        bool word = xr_is_letter(HIDING[i][strlen(HIDING[i]) - 1]) && HIDING[i][0] == '\\';
        if (at == XR_NOT_FOUND || (word && end < text.bytes && xr_is_letter(text.data[end])))
            continue;
        *what = HIDING[i];
        return true;
    }
    for (size_t at = 0; suspicious && at < text.bytes; at++) {
        if (!reorders(text, at)) continue;
        *what = "characters that change the direction of writing";
        return true;
    }
    return false;
}
