/* How does libzmq perform without Python? PUSH and PULL, one message at a time, with libzmq's C API.
 *
 * usage: libzmq ROLE ENDPOINT SIZE COUNT WARM_UP
 *
 * The program talks to its fellow process as bench/peer.py describes: in lines on stdout and stdin.
 */

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

static char lines[8][1024];
static sem_t heard;

/* Read the lines of the fellow. When stdin ends, the bench is gone, and this program exits as well. */
static void *listen_to_fellow(void *unused)
{
    (void) unused;
    for (int at = 0; fgets(lines[at], sizeof lines[at], stdin); at = (at + 1) % 8) {
        lines[at][strcspn(lines[at], "\n")] = 0;
        sem_post(&heard);
    }
    _exit(3);
}

static const char *hear(void)
{
    static int at = -1;
    while (sem_wait(&heard)) {
    }
    at = (at + 1) % 8;
    return lines[at];
}

static void say(const char *line)
{
    puts(line);
    fflush(stdout);
}

static void check(int right, const char *what)
{
    if (!right) {
        fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
        exit(1);
    }
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static size_t size;
static char *body;

static void send_one(void *socket, int letter)
{
    if (body[0] != letter)
        memset(body, letter, size);
    check(zmq_send(socket, body, size, 0) == (int) size, "zmq_send");
}

/* Receive a message and check its size; with a letter, check all bytes of it as well. */
static void receive_one(void *socket, int letter)
{
    zmq_msg_t message;
    zmq_msg_init(&message);
    check(zmq_msg_recv(&message, socket, 0) == (int) size, "zmq_msg_recv");
    if (letter) {
        memset(body, letter, size);
        if (memcmp(zmq_msg_data(&message), body, size)) {
            fprintf(stderr, "expected %zu times %c\n", size, letter);
            exit(1);
        }
    }
    zmq_msg_close(&message);
}

static void push(void *socket, const char *endpoint, long count, long warm_up)
{
    (void) endpoint;
    check(!zmq_connect(socket, hear()), "zmq_connect");
    for (long i = 0; i < warm_up; i++)
        send_one(socket, 'b');
    hear();
    for (long i = 0; i < count - 1; i++)
        send_one(socket, 'b');
    send_one(socket, 'z');
    hear();
}

static void pull(void *socket, const char *endpoint, long count, long warm_up)
{
    char bound[1024];
    size_t length = sizeof bound;
    check(!zmq_bind(socket, endpoint), "zmq_bind");
    check(!zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &length), "zmq_getsockopt");
    say(bound);
    for (long i = 0; i < warm_up; i++)
        receive_one(socket, 0);
    say("go");
    receive_one(socket, 'b');
    double started = now();
    for (long i = 0; i < count - 2; i++)
        receive_one(socket, 0);
    receive_one(socket, 'z');
    printf("result {\"rate\": %.1f}\n", (count - 1) / (now() - started));
    say("done");
}

int main(int count, char **arguments)
{
    if (count != 6) {
        fprintf(stderr, "usage: %s push|pull ENDPOINT SIZE COUNT WARM_UP\n", arguments[0]);
        return 2;
    }
    int pushes = !strcmp(arguments[1], "push");
    size = strtoul(arguments[3], NULL, 10);
    body = calloc(1, size + 1);
    pthread_t listener;
    check(body && !sem_init(&heard, 0, 0) && !pthread_create(&listener, NULL, listen_to_fellow, NULL), "setup");
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, pushes ? ZMQ_PUSH : ZMQ_PULL);
    check(socket != NULL, "zmq_socket");
    (pushes ? push : pull)(socket, arguments[2], atol(arguments[4]), atol(arguments[5]));
    zmq_close(socket);
    zmq_ctx_term(context);
    return 0;
}
