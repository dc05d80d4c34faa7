// SPDX-License-Identifier: Apache-2.0
// The languages whose programs `run` knows how to start. Layer: cli.
#include "cli/language.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/suggest.h"
#include "cli/typescript.h"

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

#define PIP "python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"

// Asks pip for what pyproject.toml names, without building the project around the one program.
#define PYPROJECT                                                                                  \
    "import subprocess, sys\n"                                                                     \
    "try:\n    import tomllib\n"                                                                   \
    "except ImportError:\n    from pip._vendor import tomli as tomllib\n"                          \
    "with open('pyproject.toml', 'rb') as f:\n"                                                    \
    "    wanted = tomllib.load(f).get('project', {}).get('dependencies', [])\n"                    \
    "pip = [sys.executable, '-m', 'pip', 'install', '--quiet',"                                    \
    " '--disable-pip-version-check', '--target', '.deps']\n"                                       \
    "sys.exit(subprocess.call(pip + wanted) if wanted else 0)\n"

static const struct language_deps python_deps[] = {
    {.manifest = "requirements.txt",
     .open = WORDS(PIP, ".deps", "-r", "requirements.txt"),
     .env = "PYTHONPATH={dir}/.deps"},
    {.manifest = "pyproject.toml",
     .open = WORDS("python3", "-c", PYPROJECT),
     .env = "PYTHONPATH={dir}/.deps"},
    {0},
};

#define NPM_QUIET "--no-audit", "--no-fund", "--loglevel=error", NPM_PATIENCE

static const struct language_deps node_deps[] = {
    {.manifest = "package.json",
     .lock = "package-lock.json",
     .locked = WORDS("npm", "ci", NPM_QUIET),
     .open = WORDS("npm", "install", NPM_QUIET)},
    {0},
};

static const struct language_deps go_deps[] = {
    {.manifest = "go.mod",
     .lock = "go.sum",
     .locked = WORDS("go", "mod", "download"),
     .open = WORDS("go", "mod", "tidy")},
    {0},
};

static const struct language_deps rust_deps[] = {
    {.manifest = "Cargo.toml",
     .lock = "Cargo.lock",
     .open = WORDS("cargo", "build", "--quiet"),
     .run = WORDS("cargo", "run", "--quiet", "--manifest-path", "{dir}/Cargo.toml", "--"),
     .place = "src/main.rs"},
    {0},
};

static const struct language languages[] = {
    {.name = "python",
     .aliases = "python3 py",
     .suffixes = "py",
     .file = "main.py",
     .run = WORDS("python3", "{file}"),
     .deps = python_deps,
     .package = "python3 python3-pip"},
    {.name = "node",
     .aliases = "javascript js nodejs",
     .suffixes = "js mjs cjs",
     .file = "main.js",
     .run = WORDS("node", "{file}"),
     .deps = node_deps,
     .package = "nodejs npm"},
    {.name = "typescript",
     .aliases = "ts tsx ts-node",
     .suffixes = "ts mts cts tsx",
     .file = "main.ts",
     .run = WORDS("tsx", "{file}"),
     .deps = node_deps,
     .package = "nodejs npm",
     .choose = typescript_choose},
    {.name = "go",
     .aliases = "golang",
     .suffixes = "go",
     .file = "main.go",
     .compile = WORDS("go", "build", "-o", "{binary}", "{file}"),
     .run = WORDS("{binary}"),
     .deps = go_deps,
     // Without a go.mod, what the program imports is what it needs.
     .bare_deps = WORDS("sh", "-c", "go mod init program && go mod tidy"),
     .package = "golang"},
    {.name = "rust",
     .aliases = "rs rustc",
     .suffixes = "rs",
     .file = "main.rs",
     .compile = WORDS("rustc", "-o", "{binary}", "{file}"),
     .run = WORDS("{binary}"),
     .deps = rust_deps,
     .package = "rustc cargo"},
    {.name = "ruby",
     .aliases = "rb",
     .suffixes = "rb",
     .file = "main.rb",
     .run = WORDS("ruby", "{file}"),
     .package = "ruby"},
    {.name = "java",
     .aliases = "",
     .suffixes = "java",
     .file = "Main.java",
     .run = WORDS("java", "{file}"),
     .package = "default-jdk-headless"},
    {.name = "bash",
     .aliases = "",
     .suffixes = "bash sh",
     .file = "main.bash",
     .run = WORDS("bash", "{file}"),
     .package = "bash"},
    {.name = "sh",
     .aliases = "shell dash",
     .suffixes = "",
     .file = "main.sh",
     .run = WORDS("sh", "{file}"),
     .package = "dash"},
};

// Whether one of the words separated by spaces is this one, in any case.
static bool has_word(const char *words, const char *word, size_t length)
{
    while (*words) {
        size_t size = strcspn(words, " ");
        if (size == length && strncasecmp(words, word, length) == 0)
            return true;
        words += size;
        words += strspn(words, " ");
    }
    return false;
}

static const struct language *find_sized(const char *name, size_t length)
{
    for (size_t i = 0; length > 0 && i < ARRAY_SIZE(languages); i++)
        if (has_word(languages[i].name, name, length) ||
            has_word(languages[i].aliases, name, length))
            return &languages[i];
    return NULL;
}

const struct language *language_find(const char *name)
{
    return find_sized(name, strlen(name));
}

const struct language *language_of_file(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (!dot || strchr(dot, '/'))
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(languages); i++)
        if (has_word(languages[i].suffixes, dot + 1, strlen(dot + 1)))
            return &languages[i];
    return NULL;
}

bool language_has_shebang(const char *data, size_t size)
{
    return size > 2 && data[0] == '#' && data[1] == '!';
}

// "#!/usr/bin/env -S python3 -u" and "#!/usr/bin/python3" both are python3.
const struct language *language_of_shebang(const char *data, size_t size)
{
    char line[256];
    if (!language_has_shebang(data, size))
        return NULL;
    size_t length = size - 2 < sizeof(line) - 1 ? size - 2 : sizeof(line) - 1;
    memcpy(line, data + 2, length);
    line[length] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    char *save = NULL;
    for (char *word = strtok_r(line, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
        const char *slash = strrchr(word, '/'), *name = slash ? slash + 1 : word;
        if (strcmp(name, "env") != 0 && name[0] != '-' && !strchr(name, '='))
            return language_find(name);
    }
    return NULL;
}

const char *language_suggest(const char *name)
{
    struct suggest suggest = {.wanted = name};
    for (size_t i = 0; i < ARRAY_SIZE(languages); i++)
        suggest_offer(&suggest, languages[i].name);
    return suggest.best;
}

void language_names(char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(languages) && used < size; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", languages[i].name);
}

int language_missing(const struct language *language, const char *program, const char *image,
                     struct sbx_error *err)
{
    err_set(err, SBX_ERR_EXEC, "%s is not in the sandbox (image '%s')", program, image);
    if (err)
        err->sys_errno = ENOENT;
    if (!language)
        return err_hint(err, "choose an image that has it: --image IMAGE");
    return err_hint(
        err,
        "on Debian or Ubuntu: apt-get install %s (the image 'host' shows this machine's "
        "programs), or choose an image that has it: --image IMAGE",
        language->package);
}
