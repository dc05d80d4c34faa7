// SPDX-License-Identifier: Apache-2.0
// The environment of one command. Layer: agent.
#include "agent/env.h"

#include <sandboxes/process.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define DERIVED_MAX 7 // PATH, HOME, USER, LOGNAME, SHELL, PWD, TERM

struct builder {
    struct env env;
    char *free; // where the next text goes
};

static size_t name_length(const char *var)
{
    return (size_t)(strchr(var, '=') - var);
}

static char **find_var(struct env *env, const char *name, size_t length)
{
    for (size_t i = 0; i < env->count; i++)
        if (strncmp(env->vars[i], name, length) == 0 && env->vars[i][length] == '=')
            return &env->vars[i];
    return NULL;
}

static char **set_var(struct env *env, char *var)
{
    char **slot = find_var(env, var, name_length(var));
    if (!slot)
        slot = &env->vars[env->count++];
    *slot = var;
    return slot;
}

static char **set_pair(struct builder *builder, const char *name, const char *value)
{
    char *var = builder->free;
    builder->free = stpcpy(stpcpy(stpcpy(var, name), "="), value) + 1;
    return set_var(&builder->env, var);
}

static void set_default(struct builder *builder, const char *name, const char *value)
{
    if (!find_var(&builder->env, name, strlen(name)))
        set_pair(builder, name, value);
}

static size_t texts_size(const struct agent_exec *exec, const struct user *user, const char *cwd)
{
    size_t size = sizeof("PATH=" DEFAULT_PATH "TERM=xterm") + 64;
    size += strlen(user->home) + 2 * strlen(user->name) + strlen(user->shell) + strlen(cwd);
    for (size_t i = 0; i < exec->env_count; i++)
        size += strlen(exec->env[i].name) + strlen(exec->env[i].value) + 2;
    return size;
}

// What user and directory say; for the default user the sandbox's own settings come first.
static void add_derived(struct builder *builder, const struct user *user, const char *cwd,
                        bool settings_hold)
{
    char **(*set)(struct builder *, const char *, const char *) = set_pair;
    const char *const pairs[][2] = {{"HOME", user->home}, {"SHELL", user->shell}};
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
        if (settings_hold)
            set_default(builder, pairs[i][0], pairs[i][1]);
        else
            set(builder, pairs[i][0], pairs[i][1]);
    set(builder, "USER", user->name);
    set(builder, "LOGNAME", user->name);
    set(builder, "PWD", cwd);
    set_default(builder, "PATH", DEFAULT_PATH);
}

static int check_names(const struct agent_exec *exec, struct sbx_error *err)
{
    for (size_t i = 0; i < exec->env_count; i++)
        if (!exec->env[i].name[0] || strchr(exec->env[i].name, '='))
            return err_set(err, SBX_ERR_INVALID, "'%s' is no name of an environment variable",
                           exec->env[i].name);
    return 0;
}

int env_build(const struct config *config, const struct agent_exec *exec, const struct user *user,
              const char *cwd, struct env *ret_env, struct sbx_error *err)
{
    bool clean = exec->flags & SBX_EXEC_CLEAN_ENV;
    size_t most = config->env_count + exec->env_count + DERIVED_MAX + 1;
    cleanup_free char **vars = calloc(most, sizeof(char *));
    cleanup_free char *texts = malloc(texts_size(exec, user, cwd));
    int code = check_names(exec, err);
    if (code < 0)
        return code;
    if (!vars || !texts)
        return err_nomem(err);
    struct builder builder = {.env = {.vars = vars, .texts = texts}, .free = texts};
    for (size_t i = 0; !clean && i < config->env_count; i++)
        set_var(&builder.env, config->env[i]);
    if (!clean)
        add_derived(&builder, user, cwd, strcmp(user->asked, config->user) == 0);
    for (size_t i = 0; i < exec->env_count; i++)
        set_pair(&builder, exec->env[i].name, exec->env[i].value);
    if (exec->flags & SBX_EXEC_PTY)
        set_default(&builder, "TERM", "xterm");
    builder.env.pwd = find_var(&builder.env, "PWD", 3);
    char **path = find_var(&builder.env, "PATH", 4);
    builder.env.path = path ? *path + 5 : DEFAULT_PATH;
    *ret_env = builder.env;
    (void)steal_ptr(vars);
    (void)steal_ptr(texts);
    return 0;
}

void env_deinit(struct env *env)
{
    free(env->vars);
    free(env->texts);
    *env = (struct env){0};
}
