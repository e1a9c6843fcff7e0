#include "shared/eval/prompts.h"

#include "shared/base/memory.h"
#include "shared/prompt/question.h"

#include <string.h>

static const char QUESTION[] = "{{ question }}", OPTIONS[] = "{{ options }}";
static const char *const KIND_NAMES[] = {"reasoning", "direct", "plain", "template"};

const char *xr_prompt_kind_name(XrPromptKind kind) {
    return KIND_NAMES[kind];
}

bool xr_prompt_kind_find(const char *name, XrPromptKind *kind) {
    for (int i = 0; i < XR_PROMPT_TEMPLATE; i++) {
        if (strcmp(name, KIND_NAMES[i]) != 0) continue;
        *kind = (XrPromptKind)i;
        return true;
    }
    return false;
}

static const char *template_of(const XrItem *item, const XrItemPromptOptions *options) {
    bool choice = item->kind == XR_ANSWER_CHOICE;
    switch (options->kind) {
    case XR_PROMPT_REASONING:
        return xr_question_template(choice ? "x_reasoner_choice" : "x_reasoner_math")->text;
    case XR_PROMPT_DIRECT:
        return choice
                   ? "{{ question }}\n{{ options }}\n\nAnswer with the letter of the right option "
                     "alone."
                   : "{{ question }}\n\nGive the answer alone, without any reasoning.";
    case XR_PROMPT_PLAIN:
        return "{{ question }}";
    case XR_PROMPT_TEMPLATE:
        return options->template_text;
    }
    XR_BUG("a prompt of kind %d", options->kind);
}

// A message in the making: text that gathers until a picture comes.
typedef struct Message {
    XrChat *chat;
    XrBuffer text;
    bool without_pictures;
} Message;

static void end_text(Message *message) {
    if (message->text.length) {
        xr_chat_add_text(message->chat, message->text.data, message->text.length);
    }
    xr_buffer_clear(&message->text);
}

static void add_content(Message *message, const XrItemContent *content) {
    for (int i = 0; i < content->count; i++) {
        const XrItemPart *part = &content->parts[i];
        if (!part->image) {
            xr_buffer_text(&message->text, part->text);
        } else if (!message->without_pictures) {
            end_text(message);
            xr_chat_add_image(message->chat, part->text, 0);
        }
    }
}

// "A: first\nB: second", as the paper's example writes them.
static void add_options(Message *message, const XrItem *item) {
    if (item->options_in_picture) {
        xr_buffer_text(&message->text, "(in the picture)");
        return;
    }
    for (int i = 0; i < item->option_count; i++) {
        xr_buffer_format(&message->text, "%s%c: ", i ? "\n" : "", 'A' + i);
        add_content(message, &item->options[i].content);
    }
}

static void add_question(Message *message, const XrItem *item, const char *template_text) {
    bool place = strstr(template_text, OPTIONS) != NULL, listed = item->option_count > 0;
    xr_chat_add_message(message->chat, "user");
    for (const char *at = template_text; *at;) {
        size_t plain = strcspn(at, "{");
        xr_buffer_append(&message->text, at, plain);
        at += plain;
        if (strncmp(at, QUESTION, sizeof QUESTION - 1) == 0) {
            add_content(message, &item->question);
            if (!place && listed && !item->options_in_picture) {
                xr_buffer_byte(&message->text, '\n');
                add_options(message, item);
            }
            at += sizeof QUESTION - 1;
        } else if (strncmp(at, OPTIONS, sizeof OPTIONS - 1) == 0) {
            if (listed) add_options(message, item);
            at += sizeof OPTIONS - 1;
        } else if (*at) {
            xr_buffer_byte(&message->text, *at++);
        }
    }
    end_text(message);
}

// The gold answer as the paper's prompts ask for it: "B: No", or the value.
static void add_gold(XrBuffer *out, const XrItem *item, bool with_text) {
    xr_buffer_text(out, item->golds[0]);
    int index = item->golds[0][0] - 'A';
    if (!with_text || item->kind != XR_ANSWER_CHOICE || index >= item->option_count) return;
    const XrItemContent *option = &item->options[index].content;
    if (option->count == 1 && !option->parts[0].image) {
        xr_buffer_format(out, ": %s", option->parts[0].text);
    }
}

static void add_example_answer(XrChat *chat, const XrItem *item, const char *template_text) {
    XrBuffer text = {0};
    bool tagged = strstr(template_text, "<answer>") != NULL;
    if (tagged && item->solution && *item->solution) {
        xr_buffer_format(&text, "<think>\n%s\n</think>\n", item->solution);
    }
    if (tagged) xr_buffer_text(&text, "<answer> ");
    add_gold(&text, item, tagged);
    if (tagged) xr_buffer_text(&text, " </answer>");
    xr_chat_add_message(chat, "assistant");
    xr_chat_add_text(chat, text.data, text.length);
    xr_buffer_free(&text);
}

void xr_item_prompt(XrChat *chat, const XrItem *item, const XrItemPromptOptions *options) {
    Message message = {.chat = chat, .without_pictures = options->without_pictures};
    XR_REQUIRE(item->problem != XR_ITEM_MALFORMED, "a prompt of the malformed item %s", item->id);
    if (options->system) {
        xr_chat_add_message(chat, "system");
        xr_chat_add_text(chat, options->system, strlen(options->system));
    }
    for (int i = 0; i < options->shot_count; i++) {
        const char *text = template_of(options->shots[i], options);
        add_question(&message, options->shots[i], text);
        add_example_answer(chat, options->shots[i], text);
    }
    add_question(&message, item, template_of(item, options));
    xr_buffer_free(&message.text);
}

static bool same_subject(const XrItem *a, const XrItem *b) {
    return a->subject && b->subject && strcmp(a->subject, b->subject) == 0;
}

static bool may_be_shot(const XrItem *shot, const XrItem *item) {
    return shot->problem == XR_ITEM_USABLE && shot->gold_count && *shot->question_text &&
           shot != item && strcmp(shot->question_text, item->question_text) != 0;
}

int xr_item_pick_shots(const XrBenchmarkItems *from, const XrItem *item, int count,
                       const XrItem **out) {
    bool subject = false;
    int found = 0;
    for (int64_t i = 0; i < from->count && !subject; i++) {
        subject = may_be_shot(&from->items[i], item) && same_subject(&from->items[i], item);
    }
    for (int64_t i = 0; i < from->count && found < count; i++) {
        const XrItem *shot = &from->items[i];
        if (may_be_shot(shot, item) && (!subject || same_subject(shot, item))) out[found++] = shot;
    }
    return found;
}
