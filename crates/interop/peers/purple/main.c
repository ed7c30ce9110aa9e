/* libpurple, what Pidgin and Finch are made of, at one end of a file transfer: Stream Initiation, then in-band or
 * SOCKS5 bytestreams.
 *
 *   purple-peer JID PASSWORD HOST PORT receive DIR
 *   purple-peer JID PASSWORD HOST PORT send FILE TO BLOCK_SIZE      libpurple's block size is fixed: the last one is ignored
 *
 * libpurple takes what is offered, SOCKS5 before in band, and offers both: addresses of this machine and the proxies it
 * finds at the server. PEER_METHOD: "any", or "decline" to take nothing.
 * Plaintext only. Prints one JSON object a line: online, offered, done, failed.
 */

#include <account.h>
#include <connection.h>
#include <core.h>
#include <debug.h>
#include <eventloop.h>
#include <ft.h>
#include <network.h>
#include <notify.h>
#include <plugin.h>
#include <prefs.h>
#include <savedstatuses.h>
#include <server.h>
#include <signals.h>
#include <status.h>
#include <util.h>

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static GMainLoop *loop;
static char **args;
static const char *method;
static gboolean over, failed;

static char *quoted(const char *text)
{
    GString *out = g_string_new("\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            g_string_append_c(out, '\\');
        }
        g_string_append_c(out, (guchar)*text < 0x20 ? ' ' : *text);
    }
    return g_string_free(g_string_append_c(out, '"'), FALSE);
}

static void say(const char *event, const char *name, const char *value, guint64 octets)
{
    char *text = quoted(value);
    printf("{\"event\":\"%s\",\"%s\":%s,\"bytes\":%" G_GUINT64_FORMAT "}\n", event, name, text, octets);
    fflush(stdout);
    g_free(text);
}

static gboolean quit(gpointer data)
{
    g_main_loop_quit(data);
    return FALSE;
}

static void end(gboolean well)
{
    over = TRUE;
    failed = !well;
    /* What is in the account's queue still has to leave. */
    g_timeout_add(300, quit, loop);
}

static void fail(const char *reason)
{
    if (!over) {
        say("failed", "reason", reason, 0);
        end(FALSE);
    }
}

/* The event loop of glib under libpurple's own interface. */

typedef struct {
    PurpleInputFunction function;
    gpointer data;
} Watch;

static gboolean ready(GIOChannel *channel, GIOCondition condition, gpointer data)
{
    const Watch *watch = data;
    PurpleInputCondition purple = 0;
    if (condition & (G_IO_IN | G_IO_HUP | G_IO_ERR)) {
        purple |= PURPLE_INPUT_READ;
    }
    if (condition & (G_IO_OUT | G_IO_HUP | G_IO_ERR | G_IO_NVAL)) {
        purple |= PURPLE_INPUT_WRITE;
    }
    watch->function(watch->data, g_io_channel_unix_get_fd(channel), purple);
    return TRUE;
}

static guint watch_add(gint fd, PurpleInputCondition condition, PurpleInputFunction function, gpointer data)
{
    GIOCondition wanted = 0;
    if (condition & PURPLE_INPUT_READ) {
        wanted |= G_IO_IN | G_IO_HUP | G_IO_ERR;
    }
    if (condition & PURPLE_INPUT_WRITE) {
        wanted |= G_IO_OUT | G_IO_HUP | G_IO_ERR | G_IO_NVAL;
    }
    Watch *watch = g_new0(Watch, 1);
    watch->function = function;
    watch->data = data;
    GIOChannel *channel = g_io_channel_unix_new(fd);
    const guint id = g_io_add_watch_full(channel, G_PRIORITY_DEFAULT, wanted, ready, watch, g_free);
    g_io_channel_unref(channel);
    return id;
}

static PurpleEventLoopUiOps event_loop = {
    .timeout_add = g_timeout_add,
    .timeout_remove = g_source_remove,
    .input_add = watch_add,
    .input_remove = g_source_remove,
    .timeout_add_seconds = g_timeout_add_seconds,
};

/* What libpurple would ask or tell a person. */

static void *told(PurpleNotifyMsgType type, const char *title, const char *primary, const char *secondary)
{
    (void)type, (void)title;
    char *reason = g_strdup_printf("%s: %s", primary, secondary ? secondary : "");
    fail(reason);
    g_free(reason);
    return NULL;
}

static PurpleNotifyUiOps notes = { .notify_message = told };

/* Transfers. */

static void requested(PurpleXfer *xfer, gpointer data)
{
    (void)data;
    char *path = g_build_filename(args[6], purple_xfer_get_filename(xfer), NULL);
    say("offered", "name", purple_xfer_get_filename(xfer), purple_xfer_get_size(xfer));
    if (strcmp(method, "decline") == 0) {
        purple_xfer_request_denied(xfer);
        end(TRUE);
    } else {
        purple_xfer_request_accepted(xfer, path);
    }
    g_free(path);
}

static void complete(PurpleXfer *xfer, gpointer data)
{
    (void)data;
    say("done", "path", purple_xfer_get_local_filename(xfer), purple_xfer_get_bytes_sent(xfer));
    end(TRUE);
}

static void cancelled(PurpleXfer *xfer, gpointer data)
{
    char *reason = g_strdup_printf("%s after %" G_GUINT64_FORMAT " octets", (const char *)data, (guint64)purple_xfer_get_bytes_sent(xfer));
    fail(reason);
    g_free(reason);
}

/* The account. */

static gboolean send_file(gpointer gc)
{
    serv_send_file(gc, args[7], args[6]);
    return FALSE;
}

static void signed_on(PurpleConnection *gc, gpointer data)
{
    (void)data;
    say("online", "jid", purple_connection_get_display_name(gc), 0);
    if (strcmp(args[5], "send") == 0) {
        /* The proxies of the server are asked for on login, and their answers take a moment. */
        g_timeout_add(300, send_file, gc);
    }
}

static void sign_on_failed(PurpleConnection *gc, PurpleConnectionError error, const char *text, gpointer data)
{
    (void)gc, (void)error, (void)data;
    fail(text);
}

static void connect_signals(void)
{
    static int us;
    void *transfers = purple_xfers_get_handle(), *connections = purple_connections_get_handle();
    purple_signal_connect(connections, "signed-on", &us, PURPLE_CALLBACK(signed_on), NULL);
    purple_signal_connect(connections, "connection-error", &us, PURPLE_CALLBACK(sign_on_failed), NULL);
    purple_signal_connect(transfers, "file-recv-request", &us, PURPLE_CALLBACK(requested), NULL);
    purple_signal_connect(transfers, "file-recv-complete", &us, PURPLE_CALLBACK(complete), NULL);
    purple_signal_connect(transfers, "file-send-complete", &us, PURPLE_CALLBACK(complete), NULL);
    purple_signal_connect(transfers, "file-recv-cancel", &us, PURPLE_CALLBACK(cancelled), "receiving cancelled");
    purple_signal_connect(transfers, "file-send-cancel", &us, PURPLE_CALLBACK(cancelled), "sending cancelled");
}

static void log_in(void)
{
    char *jid = g_strdup_printf("%s/purple", args[1]);
    PurpleAccount *account = purple_account_new(jid, "prpl-jabber");
    g_free(jid);
    purple_account_set_password(account, args[2]);
    purple_account_set_string(account, "connect_server", args[3]);
    purple_account_set_int(account, "port", atoi(args[4]));
    purple_account_set_string(account, "connection_security", "opportunistic_tls");
    purple_account_set_bool(account, "auth_plain_in_clear", TRUE);
    purple_accounts_add(account);
    purple_account_set_enabled(account, "purple-peer", TRUE);
    PurpleSavedStatus *status = purple_savedstatus_new(NULL, PURPLE_STATUS_AVAILABLE);
    purple_savedstatus_activate(status);
}

int main(int argc, char **argv)
{
    method = g_getenv("PEER_METHOD");
    if (argc < 7 || (strcmp(argv[5], "send") == 0 && argc < 8) || !method) {
        fprintf(stderr, "usage: see the head of main.c\n");
        return 2;
    }
    args = argv;
    loop = g_main_loop_new(NULL, FALSE);
    /* Nothing of this is to stay on the disk. */
    purple_util_set_user_dir("/dev/null/purple");
    purple_debug_set_enabled(g_getenv("PEER_LOG") != NULL);
    purple_eventloop_set_ui_ops(&event_loop);
    purple_notify_set_ui_ops(&notes);
    if (!purple_core_init("purple-peer")) {
        fprintf(stderr, "libpurple does not start\n");
        return 2;
    }
    purple_set_blist(purple_blist_new());
    purple_prefs_load();
    purple_prefs_set_bool("/purple/network/map_ports", FALSE);
    purple_prefs_set_bool("/purple/network/auto_ip", FALSE);
    purple_prefs_set_string("/purple/network/public_ip", "127.0.0.1");
    /* Without the address of one, it asks the DNS for the server's. */
    purple_network_set_stun_server("127.0.0.1");
    connect_signals();
    log_in();
    g_main_loop_run(loop);
    purple_core_quit();
    return failed;
}
