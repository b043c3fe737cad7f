// Compiled modules read from the folder MOOR_TEST_MODULES, as NAME.bc: for the test host, which runs any test's. What it
// takes for main.js is named by MOOR_TEST_MAIN.

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "modules.h"

const uint8_t *moor_modules_find(const char *name, size_t *size, void **to_free)
{
    const char *folder = getenv("MOOR_TEST_MODULES");
    const char *main_name = getenv("MOOR_TEST_MAIN");
    char path[4096];
    if (main_name && strcmp(name, "main.js") == 0)
        name = main_name;
    if (!folder || snprintf(path, sizeof path, "%s/%s.bc", folder, name) >= (int)sizeof path)
        return NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    struct stat status;
    uint8_t *bytes = NULL;
    if (fstat(fd, &status) == 0 && (bytes = malloc((size_t)status.st_size + 1)) &&
        read(fd, bytes, (size_t)status.st_size) != status.st_size) {
        free(bytes);
        bytes = NULL;
    }
    close(fd);
    *size = bytes ? (size_t)status.st_size : 0;
    *to_free = bytes;
    return bytes;
}
