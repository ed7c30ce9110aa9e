// gloox at one end of a file transfer: Stream Initiation, then in-band or SOCKS5 bytestreams.
//
//   gloox-peer JID PASSWORD HOST PORT receive DIR
//   gloox-peer JID PASSWORD HOST PORT send FILE TO BLOCK_SIZE      gloox says 4096 and sends blocks of that: the last one is ignored
//
// PEER_METHOD: "ibb", "direct" (SOCKS5, as a sender by a server of its own on loopback), "JID HOST PORT" of the SOCKS5
// proxy to offer and no other, or "decline" to take nothing.
// Plaintext only. Prints one JSON object a line: online, offered, done, failed.

#include <gloox/bytestream.h>
#include <gloox/bytestreamdatahandler.h>
#include <gloox/client.h>
#include <gloox/connectionlistener.h>
#include <gloox/disco.h>
#include <gloox/error.h>
#include <gloox/inbandbytestream.h>
#include <gloox/iq.h>
#include <gloox/loghandler.h>
#include <gloox/siprofileft.h>
#include <gloox/siprofilefthandler.h>
#include <gloox/socks5bytestreamserver.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>

using namespace gloox;

using Clock = std::chrono::steady_clock;

static std::string quoted(const std::string &text)
{
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
        }
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return out + '"';
}

static void say(const std::string &event, const std::string &name, const std::string &value, const std::string &more = "")
{
    std::printf("{\"event\":%s,\"%s\":%s%s}\n", quoted(event).c_str(), name.c_str(), quoted(value).c_str(), more.c_str());
    std::fflush(stdout);
}

static std::string condition(const IQ &iq)
{
    return iq.error() ? "stanza error " + std::to_string(iq.error()->error()) : "no error given";
}

class Peer : public ConnectionListener, public SIProfileFTHandler, public BytestreamDataHandler, public LogHandler
{
public:
    Peer(char **args, std::string method)
        : m_client(JID(args[1]), args[2], std::atoi(args[4])), m_server(m_client.logInstance(), 0, "127.0.0.1"),
          m_sending(std::string(args[5]) == "send"), m_dir(args[6]), m_path(args[6]), m_to(m_sending ? args[7] : ""), m_method(std::move(method))
    {
        m_client.setServer(args[3]);
        m_client.setTls(TLSDisabled);
        m_client.registerConnectionListener(this);
        m_client.disco()->setIdentity("client", "bot");
        if (std::getenv("PEER_LOG")) {
            m_client.logInstance().registerLogHandler(LogLevelDebug, LogAreaAll, this);
        }
        m_transfers = std::make_unique<SIProfileFT>(&m_client, this);
    }

    int run()
    {
        if (!m_client.connect(false)) {
            fail("no connection");
        }
        while (!m_over) {
            if (m_client.recv(1000) != ConnNoError) {
                fail("the connection of the account ended");
            }
            if (m_listening) {
                m_server.recv(1000);
            }
            if (m_stream) {
                pump();
            }
        }
        // Answers to what came last still have to leave, and the peer's to arrive.
        for (const auto until = Clock::now() + std::chrono::milliseconds(300); Clock::now() < until && m_client.recv(1000) == ConnNoError;) {
        }
        if (m_stream) {
            m_transfers->dispose(m_stream);
        }
        m_client.disconnect();
        return m_failed;
    }

    void onConnect() override
    {
        say("online", "jid", m_client.jid().full());
        if (m_sending) {
            offer();
        }
    }

    void onDisconnect(ConnectionError error) override
    {
        if (!m_over) {
            fail("disconnected: " + std::to_string(error));
        }
    }

    bool onTLSConnect(const CertInfo &) override { return false; }

    void handleLog(LogLevel, LogArea, const std::string &message) override { std::fprintf(stderr, "%s\n", message.c_str()); }

    void handleFTRequest(const JID &from, const JID &, const std::string &sid, const std::string &name, long size, const std::string &,
                         const std::string &, const std::string &, const std::string &, int methods) override
    {
        say("offered", "name", name, ",\"size\":" + std::to_string(size) + ",\"sid\":" + quoted(sid));
        if (m_method == "decline") {
            m_transfers->declineFT(from, sid, SIManager::RequestRejected);
            m_over = true;
            return;
        }
        m_path = m_dir + "/" + name.substr(name.rfind('/') + 1);
        m_size = size;
        m_out = std::ofstream(m_path, std::ios::binary);
        const bool inBand = m_method == "ibb" || !(methods & SIProfileFT::FTTypeS5B);
        m_transfers->acceptFT(from, sid, inBand ? SIProfileFT::FTTypeIBB : SIProfileFT::FTTypeS5B);
    }

    void handleFTRequestError(const IQ &iq, const std::string &) override { fail("refused: " + condition(iq)); }

    const std::string handleOOBRequestResult(const JID &, const JID &, const std::string &) override { return ""; }

    void handleFTBytestream(Bytestream *stream) override
    {
        m_stream = stream;
        stream->registerBytestreamDataHandler(this);
        // Where it reaches none of our addresses it says nothing, to us or to the peer, and waits.
        if (!stream->connect() && m_sending) {
            fail("the stream does not connect");
        }
    }

    void handleBytestreamOpen(Bytestream *) override { m_open = true; }

    void handleBytestreamData(Bytestream *, const std::string &data) override
    {
        m_out.write(data.data(), static_cast<std::streamsize>(data.size()));
        m_moved += static_cast<long>(data.size());
    }

    void handleBytestreamDataAck(Bytestream *) override { m_acknowledged++; }

    void handleBytestreamError(Bytestream *, const IQ &iq) override { fail("stream error: " + condition(iq)); }

    void handleBytestreamClose(Bytestream *) override
    {
        m_out.close();
        if (m_moved == m_size) {
            m_closed = true;
        } else {
            fail("closed after " + std::to_string(m_moved) + " octets of " + std::to_string(m_size));
        }
    }

private:
    void offer()
    {
        std::ifstream file(m_path, std::ios::binary);
        m_content.assign(std::istreambuf_iterator<char>(file), {});
        m_size = static_cast<long>(m_content.size());
        int methods = SIProfileFT::FTTypeS5B;
        if (m_method == "ibb") {
            methods = SIProfileFT::FTTypeIBB;
        } else if (m_method == "direct") {
            if (m_server.listen() != ConnNoError) {
                return fail("no port to listen on");
            }
            m_listening = true;
            m_transfers->registerSOCKS5BytestreamServer(&m_server);
            m_transfers->addStreamHost(m_client.jid(), "127.0.0.1", m_server.localPort());
        } else {
            std::istringstream words(m_method);
            std::string jid, host;
            int port = 0;
            words >> jid >> host >> port;
            m_transfers->addStreamHost(JID(jid), host, port);
        }
        const auto name = m_path.substr(m_path.rfind('/') + 1);
        if (m_transfers->requestFT(JID(m_to), name, m_size, "", "", "", "", methods).empty()) {
            fail("gloox made no offer");
        }
    }

    void pump()
    {
        if (m_stream->type() == Bytestream::S5B) {
            m_stream->recv(1000);
        }
        if (m_sending && m_open && m_moved < m_size && !m_over) {
            // gloox waits for no acknowledgement: in band all blocks leave at once, and <close/> right behind them.
            if (!m_stream->send(m_content)) {
                return fail("nothing was sent");
            }
            m_moved = m_size;
            m_stream->close();
        }
        // It exits when it is told, and what it has sent may still be in a socket that its exit would reset.
        const auto *inBand = dynamic_cast<InBandBytestream *>(m_stream);
        if (m_closed && (!m_sending || !inBand || m_acknowledged * inBand->blockSize() >= m_size)) {
            done();
        }
    }

    void done()
    {
        if (!m_over) {
            const char *method = m_stream->type() == Bytestream::IBB ? "ibb" : "socks5";
            say("done", "path", m_path, ",\"bytes\":" + std::to_string(m_moved) + ",\"method\":" + quoted(method));
            m_over = true;
        }
    }

    void fail(const std::string &reason)
    {
        if (!m_over) {
            say("failed", "reason", reason);
            m_over = m_failed = true;
        }
    }

    Client m_client;
    SOCKS5BytestreamServer m_server;
    std::unique_ptr<SIProfileFT> m_transfers;
    Bytestream *m_stream = nullptr;
    const bool m_sending;
    const std::string m_dir;
    std::string m_path, m_to, m_method, m_content;
    std::ofstream m_out;
    long m_size = 0, m_moved = 0, m_acknowledged = 0;
    bool m_listening = false, m_open = false, m_closed = false, m_over = false, m_failed = false;
};

int main(int argc, char **argv)
{
    const char *method = std::getenv("PEER_METHOD");
    if (argc < 7 || (std::string(argv[5]) == "send" && argc < 8) || !method) {
        std::fprintf(stderr, "usage: see the head of main.cpp\n");
        return 2;
    }
    return Peer(argv, method).run();
}
