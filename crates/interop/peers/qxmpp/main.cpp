// QXmpp at one end of a file transfer: Stream Initiation, then in-band or SOCKS5 bytestreams.
//
//   qxmpp-peer JID PASSWORD HOST PORT receive DIR
//   qxmpp-peer JID PASSWORD HOST PORT send FILE TO BLOCK_SIZE      QXmpp's block size is fixed: the last one is ignored
//
// PEER_METHOD: "ibb", "direct" (SOCKS5 without a proxy), or the JID of the SOCKS5 proxy to use and no other way.
// Plaintext only. Prints one JSON object a line: online, offered, done, failed.

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTimer>

#include <QXmppClient.h>
#include <QXmppConfiguration.h>
#include <QXmppLogger.h>
#include <QXmppTransferManager.h>

#include <cstdio>
#include <cstdlib>

static void say(const char *event, QJsonObject fields = {})
{
    fields["event"] = event;
    std::printf("%s\n", QJsonDocument(fields).toJson(QJsonDocument::Compact).constData());
    std::fflush(stdout);
}

static void watch(QCoreApplication &app, QXmppClient &client, QXmppTransferJob *job, const QString &path)
{
    QObject::connect(job, &QXmppTransferJob::finished, &app, [&app, &client, job, path] {
        const bool done = job->error() == QXmppTransferJob::NoError;
        QJsonObject fields{ { "sid", job->sid() }, { "bytes", job->fileSize() }, { "method", job->method() == QXmppTransferJob::InBandMethod ? "ibb" : "socks5" } };
        fields[done ? "path" : "reason"] = done ? path : QString("error %1").arg(job->error());
        // The job holds the file open, and octets of it back, until it goes.
        QObject::connect(job, &QObject::destroyed, &app, [done, fields] { say(done ? "done" : "failed", fields); }, Qt::QueuedConnection);
        job->deleteLater();
        // What is in the client's queue, the answer to <close/> say, still has to leave.
        QTimer::singleShot(200, &app, [&app, &client, done] {
            QObject::connect(&client, &QXmppClient::disconnected, &app, [&app, done] { app.exit(done ? 0 : 1); });
            QTimer::singleShot(1000, &app, [&app, done] { app.exit(done ? 0 : 1); });
            client.disconnectFromServer();
        });
    });
}

int main(int argc, char *argv[])
{
    QCoreApplication app(argc, argv);
    const QStringList args = app.arguments();
    if (args.size() < 7 || (args[5] == "send" && args.size() < 8)) {
        std::fprintf(stderr, "usage: see the head of main.cpp\n");
        return 2;
    }

    QXmppClient client;
    if (qEnvironmentVariableIsSet("PEER_LOG")) {
        client.logger()->setLoggingType(QXmppLogger::StdoutLogging);
    }
    auto *manager = new QXmppTransferManager;
    const QString method = qEnvironmentVariable("PEER_METHOD");
    manager->setSupportedMethods(method == "ibb" ? QXmppTransferJob::InBandMethod : QXmppTransferJob::SocksMethod);
    if (method != "ibb" && method != "direct") {
        manager->setProxy(method);
        manager->setProxyOnly(true);
    }
    client.addExtension(manager);

    QXmppConfiguration configuration;
    configuration.setJid(args[1]);
    configuration.setPassword(args[2]);
    configuration.setHost(args[3]);
    configuration.setPort(args[4].toInt());
    configuration.setStreamSecurityMode(QXmppConfiguration::TLSDisabled);
    configuration.setAutoReconnectionEnabled(false);

    QObject::connect(&client, &QXmppClient::error, &app, [&app](QXmppClient::Error error) {
        say("failed", { { "reason", QString("client error %1").arg(error) } });
        app.exit(1);
    });
    QObject::connect(&client, &QXmppClient::connected, &app, [&] {
        say("online", { { "jid", client.configuration().jid() } });
        if (args[5] == "send") {
            watch(app, client, manager->sendFile(args[7], args[6]), args[6]);
        }
    });
    QObject::connect(manager, &QXmppTransferManager::fileReceived, &app, [&](QXmppTransferJob *job) {
        const QString path = QDir(args[6]).filePath(QFileInfo(job->fileName()).fileName());
        say("offered", { { "sid", job->sid() }, { "name", job->fileName() }, { "size", job->fileSize() }, { "from", job->jid() } });
        watch(app, client, job, path);
        job->accept(path);
    });

    client.connectToServer(configuration);
    return app.exec();
}
