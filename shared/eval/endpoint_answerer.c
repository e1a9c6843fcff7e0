#include "shared/eval/answerer.h"

#include "shared/base/interrupt.h"
#include "shared/base/json.h"
#include "shared/base/memory.h"
#include "shared/eval/endpoint_message.h"
#include "shared/train/progress.h"

#include <curl/curl.h> // defines: curl_multi_*, curl_easy_*
#include <stdlib.h>
#include <string.h>

enum { CONNECT_SECONDS = 20, MOST_REPLY_BYTES = 256 << 20 };

// A question whose samples are being asked for.
typedef struct Round {
    const XrAsked *asked;
    int first, count, open; // samples; those without a reply yet
    XrEndpointReply *replies;
    char *refusal; // why the server will not answer, or NULL
} Round;

// A place for one request at a time.
typedef struct Call {
    CURL *easy;
    Round *round; // NULL: free
    int sample;
    XrBuffer body, reply;
    int tries;
    double not_before; // seconds: when it may be sent again
    bool sent;
    bool too_long; // the reply was larger than MOST_REPLY_BYTES
} Call;

typedef struct Endpoint {
    XrAnswerer base;
    const XrRunConfig *config;
    char *model, *url; // .../chat/completions
    CURLM *multi;
    struct curl_slist *headers;
    Call *calls; // [num_concurrent]
    int calls_count;
    Round *filling; // has samples that no call has taken
    int next_sample;
    int64_t next; // question of the list
} Endpoint;

static bool identify(const XrAnswerer *self, XrBuffer *out, XrError *err) {
    const Endpoint *e = (const Endpoint *)self;
    xr_buffer_format(out, "endpoint %s\nmodel %s\n", e->config->endpoint, e->model);
    return true;
}

// ---- rounds ----

static void free_round(Round *round) {
    if (!round) return;
    for (int i = 0; i < round->count; i++) xr_endpoint_reply_free(&round->replies[i]);
    free(round->replies);
    free(round->refusal);
    free(round);
}

static bool end_round(Round *round, const XrAnswerSink *sink, XrError *err) {
    XrGenerated *list = xr_calloc((size_t)round->count, sizeof *list);
    for (int i = 0; i < round->count; i++) {
        const XrEndpointReply *r = &round->replies[i];
        list[i] = (XrGenerated){.sample = round->first + i,
                                .mode = XR_MODE_FREE,
                                .text = r->text.data,
                                .text_bytes = r->text.length,
                                .tokens = r->tokens,
                                .prompt_tokens = r->prompt_tokens,
                                .finish = r->finish,
                                .truncated = r->finish && strcmp(r->finish, "length") == 0};
    }
    bool ok = true;
    if (round->refusal)
        sink->left_out(sink->context, round->asked, round->refusal);
    else
        ok = sink->answered(sink->context, round->asked, list, round->count, err);
    free(list);
    free_round(round);
    return ok;
}

// The next sample to be asked for, or NULL.
static Round *next_sample(Endpoint *e, const XrAskedList *list, int *sample) {
    while (!e->filling && e->next < list->count) {
        const XrAsked *asked = &list->items[e->next++];
        int first, count = xr_asked_missing(asked, (int)e->config->num_generations, &first);
        if (count == 0) continue;
        Round *round = e->filling = xr_calloc(1, sizeof *round);
        *round = (Round){.asked = asked, .first = first, .count = count, .open = count};
        round->replies = xr_calloc((size_t)count, sizeof *round->replies);
        e->next_sample = 0;
    }
    Round *round = e->filling;
    if (!round) return NULL;
    *sample = round->first + e->next_sample++;
    if (e->next_sample == round->count) e->filling = NULL;
    return round;
}

// ---- calls ----

static size_t receive(char *bytes, size_t size, size_t count, void *context) {
    Call *call = context;
    if (call->reply.length + size * count > MOST_REPLY_BYTES) {
        call->too_long = true;
        return 0;
    }
    xr_buffer_append(&call->reply, bytes, size * count);
    return size * count;
}

static void send_call(Endpoint *e, Call *call) {
    CURL *c = call->easy;
    call->too_long = false;
    curl_easy_setopt(c, CURLOPT_URL, e->url);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, e->headers);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, call->body.data);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.length);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(c, CURLOPT_PRIVATE, call);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)e->config->timeout);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    xr_buffer_clear(&call->reply);
    curl_multi_add_handle(e->multi, c);
    call->sent = true;
}

// A sample is done: with a reply, or refused. The round may end.
static bool close_call(Call *call, const XrAnswerSink *sink, XrError *err) {
    Round *round = call->round;
    call->round = NULL;
    return --round->open > 0 || end_round(round, sink, err);
}

static bool refuse(Call *call, const char *reason, const XrAnswerSink *sink, XrError *err) {
    if (!call->round->refusal) call->round->refusal = xr_strdup(reason);
    return close_call(call, sink, err);
}

// Gives free calls their requests, and sends those whose time has come.
static bool start_calls(Endpoint *e, const XrAskedList *list, const XrAnswerSink *sink,
                        XrError *err) {
    for (int i = 0; i < e->calls_count; i++) {
        Call *call = &e->calls[i];
        while (!call->round) {
            XrError problem = {0};
            call->round = next_sample(e, list, &call->sample);
            if (!call->round) break;
            call->tries = 0;
            call->not_before = 0;
            xr_buffer_clear(&call->body);
            if (!xr_endpoint_request(&call->body, e->config, e->model, call->round->asked->messages,
                                     call->sample, &problem) &&
                !refuse(call, problem.message, sink, err)) {
                return false;
            }
        }
        if (call->round && !call->sent && xr_seconds() >= call->not_before) send_call(e, call);
    }
    return true;
}

static bool is_busy(const Endpoint *e) {
    for (int i = 0; i < e->calls_count; i++) {
        if (e->calls[i].round) return true;
    }
    return false;
}

// Whether trying again may help.
static bool is_passing(CURLcode result, long status) {
    if (result != CURLE_OK)
        return result != CURLE_URL_MALFORMAT && result != CURLE_UNSUPPORTED_PROTOCOL;
    return status == 408 || status == 409 || status == 429 || status >= 500;
}

static double wait_of(const Call *call) {
    curl_off_t asked = 0;
    double wait = 0.5 * (double)(1 << XR_MIN(call->tries, 7)); // half a second, doubled each time
    curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &asked);
    return asked > 0 ? XR_MIN((double)asked, 600) : wait;
}

// What became of a request that failed: sent again, the question left out, or the end of the run.
static bool failed(Endpoint *e, Call *call, CURLcode result, long status, const XrAnswerSink *sink,
                   XrError *err) {
    XrBuffer why = {0};
    if (call->too_long)
        xr_buffer_text(&why, "the reply is too long");
    else if (result != CURLE_OK)
        xr_buffer_text(&why, curl_easy_strerror(result));
    else
        xr_endpoint_complaint(&why, &call->reply);
    bool ok = true;
    const char *hint = status == 401 || status == 403 ? "; set OPENAI_API_KEY"
                       : status == 404 ? "; check the URL (it ends in /v1) and the model"
                                       : "";
    if (is_passing(result, status) && call->tries < e->config->max_retries) {
        call->not_before = xr_seconds() + wait_of(call);
        call->tries++;
    } else if (status == 400 || status == 413 || status == 422) {
        char reason[512];
        snprintf(reason, sizeof reason, "the server refuses it: HTTP %ld: %s", status, why.data);
        ok = refuse(call, reason, sink, err);
    } else if (result != CURLE_OK) {
        ok = xr_fail(err, XR_ERR_IO, "%s: %s, after %d tries; --resume goes on from there", e->url,
                     why.data, call->tries + 1);
    } else {
        ok = xr_fail(err, XR_ERR_IO, "%s: HTTP %ld: %s, after %d tries%s; --resume goes on", e->url,
                     status, why.data, call->tries + 1, hint);
    }
    xr_buffer_free(&why);
    return ok;
}

static bool finished(Endpoint *e, Call *call, CURLcode result, const XrAnswerSink *sink,
                     XrError *err) {
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(e->multi, call->easy);
    call->sent = false;
    if (result != CURLE_OK || status != 200) return failed(e, call, result, status, sink, err);
    Round *round = call->round;
    XrEndpointReply *reply = &round->replies[call->sample - round->first];
    return xr_endpoint_reply(reply, e->url, &call->reply, err) && close_call(call, sink, err);
}

static bool take_finished(Endpoint *e, const XrAnswerSink *sink, XrError *err) {
    int left;
    bool ok = true;
    for (CURLMsg *m; ok && (m = curl_multi_info_read(e->multi, &left));) {
        Call *call = NULL;
        if (m->msg != CURLMSG_DONE) continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &call);
        ok = finished(e, call, m->data.result, sink, err);
    }
    return ok;
}

// Lets go of everything after a failure or an interrupt.
static void drop_calls(Endpoint *e) {
    Round *unheld = e->filling; // by any call
    for (int i = 0; i < e->calls_count; i++) {
        Call *call = &e->calls[i];
        if (call->sent) curl_multi_remove_handle(e->multi, call->easy);
        Round *round = call->round;
        if (round == unheld) unheld = NULL;
        for (int k = i; k < e->calls_count; k++) {
            if (e->calls[k].round == round) e->calls[k].round = NULL;
        }
        call->sent = false;
        free_round(round);
    }
    free_round(unheld);
    e->filling = NULL;
}

static bool run(XrAnswerer *self, const XrAskedList *list, const XrAnswerSink *sink, XrError *err) {
    Endpoint *e = (Endpoint *)self;
    e->next = 0;
    bool ok = start_calls(e, list, sink, err);
    while (ok && is_busy(e)) {
        int running;
        curl_multi_perform(e->multi, &running);
        ok = take_finished(e, sink, err) && start_calls(e, list, sink, err);
        if (ok && xr_interrupted()) ok = xr_fail(err, XR_ERR_INTERRUPTED, "interrupted");
        if (ok && is_busy(e)) curl_multi_poll(e->multi, NULL, 0, 100, NULL);
    }
    if (!ok) drop_calls(e);
    return ok;
}

// ---- opening ----

static char *url_of(const XrRunConfig *c, const char *path) {
    size_t length = strlen(c->endpoint);
    while (length && c->endpoint[length - 1] == '/') length--;
    XrBuffer url = {0};
    xr_buffer_append(&url, c->endpoint, length);
    xr_buffer_text(&url, path);
    return url.data;
}

// The first model that the server lists.
static bool ask_model(Endpoint *e, XrError *err) {
    Call call = {.easy = curl_easy_init()};
    char *url = url_of(e->config, "/models");
    long status = 0;
    curl_easy_setopt(call.easy, CURLOPT_URL, url);
    curl_easy_setopt(call.easy, CURLOPT_HTTPHEADER, e->headers);
    curl_easy_setopt(call.easy, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(call.easy, CURLOPT_WRITEDATA, &call);
    curl_easy_setopt(call.easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(call.easy, CURLOPT_TIMEOUT, (long)e->config->timeout);
    curl_easy_setopt(call.easy, CURLOPT_NOSIGNAL, 1L);
    CURLcode result = curl_easy_perform(call.easy);
    curl_easy_getinfo(call.easy, CURLINFO_RESPONSE_CODE, &status);
    XrJson json = {0};
    const char *id = NULL;
    bool there =
        result == CURLE_OK && status == 200 && call.reply.length &&
        xr_json_parse(&json, url, call.reply.data, call.reply.length, &XR_JSON_SMALL, NULL);
    if (there) {
        const cJSON *data = cJSON_GetObjectItemCaseSensitive(json.root, "data");
        id = cJSON_GetStringValue(
            cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(data, 0), "id"));
    }
    if (id) e->model = xr_strdup(id);
    if (result != CURLE_OK) {
        xr_fail(err, XR_ERR_IO, "%s: %s", url, curl_easy_strerror(result));
    } else if (!id) {
        xr_fail(err, XR_ERR_IO,
                "%s: HTTP %ld, and no list of models; name one as \"model_name_or_path\"", url,
                status);
    }
    if (there) xr_json_free(&json);
    xr_buffer_free(&call.reply);
    curl_easy_cleanup(call.easy);
    free(url);
    return id != NULL;
}

static void close_answerer(XrAnswerer *self) {
    Endpoint *e = (Endpoint *)self;
    for (int i = 0; i < e->calls_count; i++) {
        curl_easy_cleanup(e->calls[i].easy);
        xr_buffer_free(&e->calls[i].body);
        xr_buffer_free(&e->calls[i].reply);
    }
    curl_multi_cleanup(e->multi);
    curl_slist_free_all(e->headers);
    free(e->calls);
    free(e->model);
    free(e->url);
    free(e);
}

XrAnswerer *xr_endpoint_answerer_open(const XrRunConfig *config, XrError *err) {
    Endpoint *e = xr_calloc(1, sizeof *e);
    const char *key = getenv("OPENAI_API_KEY");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    e->base = (XrAnswerer){identify, run, close_answerer};
    e->config = config;
    e->url = url_of(config, "/chat/completions");
    e->multi = curl_multi_init();
    e->headers = curl_slist_append(e->headers, "Content-Type: application/json");
    e->headers = curl_slist_append(e->headers, "Expect:"); // no waiting for "100 Continue"
    if (key && *key) {
        XrBuffer line = {0};
        xr_buffer_format(&line, "Authorization: Bearer %s", key);
        e->headers = curl_slist_append(e->headers, line.data);
        xr_buffer_free(&line);
    }
    e->calls_count = (int)config->num_concurrent;
    e->calls = xr_calloc((size_t)e->calls_count, sizeof *e->calls);
    for (int i = 0; i < e->calls_count; i++) e->calls[i].easy = curl_easy_init();
    if (config->model_name_or_path) {
        e->model = xr_strdup(config->model_name_or_path);
        return &e->base;
    }
    if (ask_model(e, err)) return &e->base;
    close_answerer(&e->base);
    return NULL;
}
