/* Stands in the place of libmp3lame.so.0 and does what a decoder or encoder that was taken over could do: a payload, in
 * a job's child, inside the real jail. The payload is named by the end of the job's file, "EVIL:<name>". Without one,
 * and in every other function, it is the real library, which is linked in under another name. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { JOB_SOCKET = 3, MIB = 1 << 20 };

static void *(*real_init)(void);

/* At the start, so that the loader's data leads from this library to the real one. */
__attribute__((constructor)) static void find_real(void) { real_init = (void *(*)(void))dlsym(RTLD_NEXT, "lame_init"); }

static char big[MIB - 64];

static void put(int fd, const void *bytes, size_t length)
{
    for (const char *at = bytes; length > 0;) {
        ssize_t written = write(fd, at, length);
        if (written <= 0)
            return;
        at += written;
        length -= (size_t)written;
    }
}

/* One frame on the job's socket. */
static void say(const char *json)
{
    uint32_t length = (uint32_t)strlen(json);
    put(JOB_SOCKET, &length, sizeof length);
    put(JOB_SOCKET, json, length);
}

static void make(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    put(fd, text, strlen(text));
    close(fd);
}

#define PLAYBACK "{\"role\":\"playback\",\"file\":\"audio.mp3\",\"object\":\"audio.mp3\",\"mime_type\":\"audio/mpeg\",\"codecs\":[\"mp3\"]}"
#define REPORT(container, reasons, produced)                                                                             \
    "{\"say\":\"done\",\"report\":{\"kind\":\"audio\",\"mime_type\":\"audio/ogg\",\"extension\":\"ogg\","                       \
    "\"container\":\"" container "\",\"duration_ms\":1000,\"streams\":[],\"action\":\"encoded\",\"reasons\":[" reasons        \
    "],\"produced\":[" produced "],\"cpu_s\":0.0,\"peak_memory_bytes\":0,\"libav\":{\"libavcodec\":\"99.evil\"},"              \
    "\"sandbox\":{\"mode\":\"evil\",\"landlock\":\"none\",\"landlock_abi\":77,\"seccomp\":false}}}"

/* A report that the worker has no reason to refuse, and the file that it names. */
static void say_done(void)
{
    make("audio.mp3", "ID3");
    say(REPORT("ogg", "", PLAYBACK));
}

static void sleep_on(void)
{
    struct timespec hour = { 3600, 0 };
    nanosleep(&hour, NULL);
}

static void *sleeper(void *unused)
{
    sleep_on();
    return unused;
}

static void start_threads(int count)
{
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    for (int n = 0; n < count; n++) {
        pthread_t thread;
        if (pthread_create(&thread, &small, sleeper, NULL) != 0)
            return;
    }
}

static void make_files(int count)
{
    char name[32];
    for (int n = 0; n < count; n++) {
        snprintf(name, sizeof name, "n%d", n);
        close(open(name, O_WRONLY | O_CREAT, 0600));
    }
}

static void fill(int files, int mib_each)
{
    char name[32];
    for (int n = 0; n < files; n++) {
        snprintf(name, sizeof name, "f%d", n);
        int fd = open(name, O_WRONLY | O_CREAT, 0600);
        for (int mib = 0; mib < mib_each; mib++)
            put(fd, big, sizeof big);
        close(fd);
    }
}

static void say_failed(const char *verdict, const char *code, const char *message)
{
    static char json[MIB / 2];
    snprintf(json, sizeof json, "{\"say\":\"failed\",\"verdict\":\"%s\",\"code\":\"%s\",\"message\":\"%s\"}", verdict, code, message);
    say(json);
}

static void say_junk(void)
{
    static char json[MIB];
    size_t at = (size_t)snprintf(json, sizeof json, "%s", "{\"say\":\"done\",\"report\":{\"kind\":\"audio\",\"mime_type\":\"audio/ogg\",\"extension\":\"ogg\",\"container\":\"\\u001b]0;pwn\\u0007<script>\",\"streams\":[],\"action\":\"encoded\",\"reasons\":[");
    for (int n = 0; n < 9001; n++)
        at += (size_t)snprintf(json + at, sizeof json - at, "%s{\"verdict\":\"keep\",\"reason\":\"x\"}", n ? "," : "");
    snprintf(json + at, sizeof json - at, "%s", "],\"produced\":[" PLAYBACK "],\"cpu_s\":0.0,\"peak_memory_bytes\":0,\"libav\":{},\"sandbox\":{\"mode\":\"\",\"landlock\":\"\",\"landlock_abi\":0,\"seccomp\":true}}}");
    make("audio.mp3", "ID3");
    say(json);
}

/* Every object of one file with nothing in it. */
static void say_sparse(void)
{
    int fd = open("audio.mp3", O_WRONLY | O_CREAT, 0600);
    if (ftruncate(fd, 32 * MIB) != 0)
        return;
    say(REPORT("ogg", "",
        PLAYBACK ",{\"role\":\"waveform\",\"file\":\"audio.mp3\",\"object\":\"waveform.png\",\"mime_type\":\"image/png\",\"codecs\":[]}"
                 ",{\"role\":\"peaks\",\"file\":\"audio.mp3\",\"object\":\"peaks.json\",\"mime_type\":\"application/json\",\"codecs\":[]}"));
}

static void say_html(void)
{
    make("audio.mp3", "ID3");
    make("waveform.png", "<script>alert(1)</script>");
    say(REPORT("ogg", "",
        PLAYBACK ",{\"role\":\"waveform\",\"file\":\"waveform.png\",\"object\":\"waveform.png\",\"mime_type\":\"text/html\",\"codecs\":[]}"));
}

static void payload(const char *name)
{
    const struct timespec half_a_second = { 0, 500000000 };
#define IS(text) (strcmp(name, text) == 0)
    if (IS("fill")) {
        fill(24, 32);
    } else if (IS("fill-and-done")) {
        fill(5, 60);
        say_done();
    } else if (IS("fallocate")) {
        int fd = open("f", O_WRONLY | O_CREAT, 0600);
        syscall(SYS_fallocate, fd, 0, 0L, (long)MIB);
    } else if (IS("files")) {
        make_files(20000);
    } else if (IS("files-and-done")) {
        make_files(100);
        say_done();
    } else if (IS("threads")) {
        start_threads(5000);
        sleep_on();
    } else if (IS("tmpfile")) {
        open(".", O_TMPFILE | O_RDWR, 0600);
    } else if (IS("o-path")) {
        open("/etc/shadow", O_PATH);
    } else if (IS("html")) {
        say_html();
    } else if (IS("nothing")) {
        say(REPORT("ogg", "", ""));
    } else if (IS("junk")) {
        say_junk();
    } else if (IS("sparse")) {
        say_sparse();
    } else if (IS("broken-code")) {
        say_failed("broken", "store.forbidden", "bad key");
    } else if (IS("transient-code")) {
        say_failed("transient", "store.unavailable", "slow");
    } else if (IS("talk")) {
        static char text[4096];
        memset(text, 'x', sizeof text - 1);
        memcpy(text, "\\u001b]0;", 9);
        say_failed("rejected", "media.unreadable", text);
    } else if (IS("linger")) {
        say_done();
        syscall(SYS_ptrace, 0, 0, 0, 0);
    } else if (IS("linger-asleep")) {
        say_done();
        sleep_on();
    } else if (IS("exit-code")) {
        say_done();
        _exit(7);
    } else if (IS("progress-flood")) {
        for (;;)
            say("{\"say\":\"progress\",\"fraction\":0.5}");
    } else if (IS("progress-huge")) {
        static char json[MIB];
        memset(json, ' ', sizeof json - 64);
        memcpy(json, "{\"say\":\"progress\",\"fraction\":0.5", 32);
        json[sizeof json - 65] = '}';
        json[sizeof json - 64] = 0;
        say(json);
        nanosleep(&half_a_second, NULL);
    } else if (IS("segv")) {
        *(volatile char *)8 = 0;
    } else if (IS("lies")) {
        say_done();
    }
    _exit(0);
}

void *lame_init(void)
{
    char end[64] = { 0 };
    int fd = open("input", O_RDONLY);
    if (fd >= 0 && lseek(fd, -(off_t)(sizeof end - 1), SEEK_END) >= 0 && read(fd, end, sizeof end - 1) > 0) {
        for (size_t at = 0; at + 5 < sizeof end; at++) {
            if (memcmp(end + at, "EVIL:", 5) == 0)
                payload(end + at + 5);
        }
    }
    if (fd >= 0)
        close(fd);
    return real_init();
}
