// The answers of evaluations: data for the page's script, which filters and shows them.
#include "shared/base/memory.h"
#include "shared/report/chart.h"
#include "shared/report/eval_page.h"
#include "shared/report/sample.h"

#include <stdlib.h>
#include <string.h>

static const char FORM[] =
    "<form class=\"filters\" onsubmit=\"return false\">"
    "<label>run <select id=\"f-run\"></select></label>"
    "<label>benchmark <select id=\"f-dataset\"></select></label>"
    "<label>subject <select id=\"f-subject\"></select></label>"
    "<label>score <select id=\"f-score\"><option value=\"\">all</option><option value=\"1\">right"
    "</option><option value=\"0\">wrong</option></select></label>"
    "<label>verdict <select id=\"f-verdict\"></select></label>"
    "<label>mode <select id=\"f-mode\"></select></label>"
    "<label>is <select id=\"f-flag\"><option value=\"\">anything</option><option value=\"t\">"
    "truncated</option><option value=\"e\">endless thinking</option><option value=\"f\">forced to "
    "exit</option><option value=\"o\">judged otherwise by the official rule</option></select>"
    "</label>"
    "<label>text <input id=\"f-text\" type=\"search\" placeholder=\"id, question, response\">"
    "</label></form>\n"
    "<p><button id=\"prev\">&larr;</button> <span id=\"where\"></span> "
    "<button id=\"next\">&rarr;</button></p>\n<div id=\"shown\"></div>\n"
    "<noscript><p>Filtering and paging need JavaScript; samples.jsonl in the run's folder has all "
    "answers.</p></noscript>\n";

static const char SCRIPT[] =
    "<script>\n"
    "(function(){\n"
    "const all=JSON.parse(document.getElementById('answers').textContent);\n"
    "const $=id=>document.getElementById(id),size=20;let page=0,found=all;\n"
    "const fields={run:'r',dataset:'d',subject:'s',verdict:'v',mode:'m'};\n"
    "for(const name in fields){const values=[...new Set(all.map(a=>a[fields[name]]))].filter(v=>v"
    "!==undefined).sort();\n"
    " const s=$('f-'+name);s.append(new Option('all',''));values.forEach(v=>s.append(new "
    "Option(v,v)));\n"
    " if(values.length<2)s.parentElement.hidden=true;}\n"
    "function esc(t){const e=document.createElement('span');e.textContent=t;return e.innerHTML;}\n"
    "const shown=name=>!$('f-'+name).parentElement.hidden,many=all.some(a=>a.n>0);\n"
    "const soft=(k,v)=>v===undefined||v===''?'':'<span class=\"soft\">'+k+'</span> "
    "'+esc(String(v))+' &nbsp; ';\n"
    "function line(a){return '<details><summary><b class=\"'+(a.k?'right':'wrong')+'\"></b> &nbsp; "
    "'"
    "+soft('id',a.i)+(shown('dataset')?soft('benchmark',a.d):'')+(shown('run')?soft('run',a.r):'')"
    "+soft('subject',a.s)+(many?soft('sample',a.n):'')+soft('gold',a.g)+soft('extracted',a.x)"
    "+soft('verdict',a.v)+soft('official rule',a.o===undefined?undefined:(a.o?'right':'wrong'))"
    "+(shown('mode')?soft('mode',a.m):'')+soft('ended by',a.e)+soft('tokens',a.w)+'</summary><pre "
    "class=\"soft\">'+a.q+'</pre><pre>'+a.a+'</pre></details>';}\n"
    "const entities={lt:'<',gt:'>',amp:'&',quot:'\"','#39':\"'\"};\n"
    "function plain(a){return a.t=a.t||(a.i+' '+a.q+' '+a.a).replace(/<[^>]*>/g,'').replace(/"
    "&(lt|gt|amp|quot|#39);/g,(_,e)=>entities[e]).toLowerCase();}\n"
    "function show(){const pages=Math.max(1,Math.ceil(found.length/size));page=Math.min(Math.max("
    "page,0),pages-1);\n"
    " const from=page*size,part=found.slice(from,from+size);\n"
    " $('where').textContent=found.length?(from+1)+'\\u2013'+(from+part.length)+' of '+found.length"
    ":'none';\n"
    " $('prev').disabled=page===0;$('next').disabled=page>=pages-1;\n"
    " $('shown').innerHTML=part.map(line).join('');}\n"
    "function filter(){const t=$('f-text').value.toLowerCase(),score=$('f-score').value,flag=$('f-"
    "flag').value;\n"
    " found=all.filter(a=>{for(const n in fields){const "
    "v=$('f-'+n).value;if(v!==''&&String(a[fields"
    "[n]])!==v)return false;}\n"
    "  if(score!==''&&String(a.k)!==score)return false;\n"
    "  if(flag==='o'?!(a.o!==undefined&&a.o!==a.k):flag!==''&&!(a.z||'').includes(flag))return "
    "false;\n"
    "  return t===''||plain(a).includes(t);});\n"
    " page=0;show();}\n"
    "document.querySelectorAll('.filters select,.filters input').forEach(e=>e.addEventListener("
    "'input',filter));\n"
    "$('prev').onclick=()=>{page--;show();};$('next').onclick=()=>{page++;show();};show();\n"
    "})();\n</script>\n";

static const char *get_text(const cJSON *json, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));
}

// As xr_buffer_json, with no "<" that could end the script element.
static void add_json(XrBuffer *out, const char *value, size_t bytes) {
    XrBuffer text = {0};
    xr_buffer_json(&text, value, bytes);
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '<')
            xr_buffer_text(out, "\\u003c");
        else
            xr_buffer_byte(out, text.data[i]);
    }
    xr_buffer_free(&text);
}

static void add_text(XrBuffer *out, const char *key, const char *value) {
    if (!value) return;
    xr_buffer_format(out, ", \"%s\": ", key);
    add_json(out, value, strlen(value));
}

static void add_number(XrBuffer *out, const char *key, const cJSON *sample, const char *name) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(sample, name);
    if (cJSON_IsNumber(value)) xr_buffer_format(out, ", \"%s\": %.0f", key, value->valuedouble);
}

// The conversation as HTML: roles, texts, and where pictures stand.
static void question_html(XrBuffer *out, const cJSON *sample) {
    const cJSON *message, *part;
    cJSON_ArrayForEach(message, cJSON_GetObjectItemCaseSensitive(sample, "messages")) {
        const cJSON *content = cJSON_GetObjectItemCaseSensitive(message, "content");
        const char *role = get_text(message, "role");
        if (role && strcmp(role, "user") != 0) xr_buffer_format(out, "<i>%s:</i> ", role);
        if (cJSON_IsString(content)) {
            xr_html_text(out, content->valuestring, strlen(content->valuestring));
        }
        cJSON_ArrayForEach(part, content) {
            const char *text = get_text(part, "text"), *image = get_text(part, "image");
            if (text) xr_html_text(out, text, strlen(text));
            if (!image) continue;
            xr_buffer_text(out, "<i>[picture ");
            xr_html_text(out, image, strlen(image));
            xr_buffer_text(out, "]</i>");
        }
        xr_buffer_byte(out, '\n');
    }
    xr_buffer_reserve(out, 1);
}

static bool is_true(const cJSON *sample, const char *key) {
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(sample, key));
}

static void add_answer(XrBuffer *out, const XrRunData *run, const XrTokenizer *tokenizer,
                       const cJSON *sample) {
    XrBuffer question = {0}, answer = {0};
    question_html(&question, sample);
    xr_report_response(&answer, tokenizer, sample);
    xr_buffer_reserve(&answer, 1);
    xr_buffer_text(out, "{\"r\": ");
    add_json(out, run->name, strlen(run->name));
    static const char *const texts[][2] = {
        {"d", "dataset"}, {"i", "id"},   {"s", "subject"},   {"m", "mode"},
        {"v", "verdict"}, {"g", "gold"}, {"x", "extracted"}, {"e", "finish_reason"}};
    for (size_t i = 0; i < XR_COUNT(texts); i++) {
        add_text(out, texts[i][0], get_text(sample, texts[i][1]));
    }
    add_number(out, "n", sample, "sample");
    add_number(out, "k", sample, "score");
    add_number(out, "o", sample, "official_score");
    add_number(out, "w", sample, "tokens");
    const cJSON *forced = cJSON_GetObjectItemCaseSensitive(sample, "forced");
    xr_buffer_format(out, ", \"z\": \"%s%s%s\"", is_true(sample, "truncated") ? "t" : "",
                     is_true(sample, "endless") ? "e" : "",
                     cJSON_GetArraySize(forced) > 0 ? "f" : "");
    xr_buffer_text(out, ", \"q\": ");
    add_json(out, question.data, question.length);
    xr_buffer_text(out, ", \"a\": ");
    add_json(out, answer.data, answer.length);
    xr_buffer_byte(out, '}');
    xr_buffer_free(&question);
    xr_buffer_free(&answer);
}

static int add_run(XrBuffer *out, const XrRunData *run, int before) {
    const char *folder = run->config.root ? get_text(run->config.root, "model_name_or_path") : NULL;
    XrTokenizer *tokenizer = folder ? xr_tokenizer_load(folder, NULL) : NULL;
    int added = 0;
    for (int i = 0; i < run->sample_count; i++) {
        XrJson json;
        if (!xr_json_parse(&json, "answer", run->samples[i], strlen(run->samples[i]),
                           &XR_JSON_SMALL, NULL)) {
            continue;
        }
        if (before + added++) xr_buffer_text(out, ",\n");
        add_answer(out, run, tokenizer, json.root);
        xr_json_free(&json);
    }
    xr_tokenizer_free(tokenizer);
    return added;
}

void xr_report_answers(XrBuffer *out, const XrRunData *runs, int count) {
    int64_t kept = 0, rows = 0;
    for (int r = 0; r < count; r++) {
        if (!xr_run_is_eval(&runs[r])) continue;
        kept += runs[r].sample_count;
        rows += runs[r].sample_rows;
    }
    if (kept == 0) return;
    xr_buffer_format(out,
                     "<h2>Answers</h2>\n<p class=\"soft\">%lld of %lld answers%s. Injected tokens "
                     "are marked where the run's tokenizer could be read.</p>\n",
                     (long long)kept, (long long)rows,
                     kept < rows ? " (--samples N shows more)" : "");
    xr_buffer_text(out, FORM);
    xr_buffer_text(out, "<script type=\"application/json\" id=\"answers\">[");
    int added = 0;
    for (int r = 0; r < count; r++) {
        if (xr_run_is_eval(&runs[r])) added += add_run(out, &runs[r], added);
    }
    xr_buffer_text(out, "]</script>\n");
    xr_buffer_text(out, SCRIPT);
}
