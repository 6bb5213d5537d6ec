/* Copyright: Contributors to the numa.virt collection
 * GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Python, as Ansible calls it on a lab host: lab_python.py has one that has started already, and forks it. This hands
 * over its arguments, environment, folder and three open files, and ends as that one does.
 *
 * What is sent: the number of arguments and the length of all strings, 4 bytes each in the machine's order, with the
 * files; then the strings, each with a NUL: the folder, the arguments, the environment. What comes back: one byte.
 */

#define _GNU_SOURCE
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SOCKET
#define SOCKET "/run/lab-python/socket"
#endif
#define PYTHON "/usr/bin/python3"

extern char **environ;

static char *all;
static size_t size;

static void add(const char *text)
{
    size_t length = strlen(text) + 1;

    all = realloc(all, size + length);
    if (all == NULL)
        _exit(125);
    memcpy(all + size, text, length);
    size += length;
}

static int write_all(int to, const char *from, size_t left)
{
    while (left > 0) {
        ssize_t sent = send(to, from, left, MSG_NOSIGNAL);

        if (sent <= 0)
            return -1;
        from += sent;
        left -= sent;
    }
    return 0;
}

static int send_head(int to, const uint32_t *head, size_t length)
{
    union {
        char room[CMSG_SPACE(3 * sizeof(int))];
        struct cmsghdr aligned;
    } control = {{0}};
    const int files[] = {0, 1, 2};
    struct iovec data = {(void *)head, length};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof files);
    memcpy(CMSG_DATA(rights), files, sizeof files);
    return sendmsg(to, &message, MSG_NOSIGNAL) == (ssize_t)length ? 0 : -1;
}

int main(int count, char **arguments)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET};
    char folder[PATH_MAX];
    unsigned char status;
    uint32_t head[2];
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (server < 0 || getcwd(folder, sizeof folder) == NULL ||
        connect(server, (struct sockaddr *)&address, sizeof address) != 0) {
        arguments[0] = PYTHON;
        execv(PYTHON, arguments);
        _exit(127);
    }
    add(folder);
    for (int number = 1; number < count; number++)
        add(arguments[number]);
    for (char **each = environ; *each != NULL; each++)
        add(*each);
    head[0] = count - 1;
    head[1] = size;
    if (send_head(server, head, sizeof head) != 0 || write_all(server, all, size) != 0 ||
        read(server, &status, 1) != 1) {
        fputs("lab-python: the Python that was forked is gone\n", stderr);
        return 125;
    }
    return status;
}
