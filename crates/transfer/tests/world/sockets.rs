//! What the application does with sockets.

use crate::script::{Script, piece};
use bytestreams_machine::{ConnId, NetCommand};
use bytestreams_sim::Context;
use bytestreams_transfer::{ConnEnd, TransferId, Transfers};

impl Script {
    /// A socket is the application's: writes all there is to write, or takes what came early.
    pub(crate) fn has_socket(
        &mut self,
        id: TransferId,
        conn: ConnId,
        machine: &mut Transfers,
        cx: &mut Context<'_>,
    ) {
        if let Some(sending) = self.sending.get_mut(&id) {
            sending.conn = Some(conn);
            while sending.at < sending.until {
                let left = sending.until - sending.at;
                let len = [left, left.div_ceil(2)][cx.chooser.choose(2) as usize];
                let octets = piece(sending.kind, sending.at, sending.at + len);
                cx.net(NetCommand::Send(conn, octets));
                sending.at += len;
                machine.moved(id, len as u64, cx.now);
            }
            sending.finished = true;
            let finished = machine.finish(id, cx.now);
            self.demand(finished.is_ok(), "what was written whole can be finished");
        } else if let Some(receiving) = self.receiving.get_mut(&id) {
            receiving.conn = Some(conn);
            let early = machine.early(id);
            self.take(id, &early, machine, cx);
        } else {
            // A bare stream that the peer uses to write back.
            self.demand(false, "a socket belongs to a transfer");
        }
    }

    /// Stores what came; says so when it is all.
    fn take(&mut self, id: TransferId, octets: &[u8], machine: &mut Transfers, cx: &Context<'_>) {
        let Some(receiving) = self.receiving.get_mut(&id) else {
            return;
        };
        let until = receiving.at + octets.len();
        let right = *octets == piece(receiving.kind, receiving.at, until)[..];
        let most = receiving.until;
        receiving.at = until;
        self.demand(right, "received is no prefix of sent");
        self.demand(
            most.is_none_or(|most| until <= most),
            "more was received than announced",
        );
        machine.moved(id, octets.len() as u64, cx.now);
        if most == Some(until) {
            let _ = machine.ended(id, Ok(()), cx.now);
        }
    }

    pub(crate) fn socket_heard(
        &mut self,
        conn: ConnId,
        octets: &[u8],
        machine: &mut Transfers,
        cx: &Context<'_>,
    ) {
        let Some(id) = self.of(conn) else {
            // Failed or done; the event that tells is on its way, or was.
            return;
        };
        if octets.is_empty() {
            let _ = machine.ended(id, Ok(()), cx.now);
        } else {
            self.take(id, octets, machine, cx);
        }
    }

    pub(crate) fn socket_broke(&self, conn: ConnId, machine: &mut Transfers, cx: &Context<'_>) {
        if let Some(id) = self.of(conn) {
            let _ = machine.ended(id, Err(ConnEnd::Reset), cx.now);
        }
    }

    fn of(&self, conn: ConnId) -> Option<TransferId> {
        let sending = self.sending.iter();
        let sending = sending.filter(|(_, sending)| sending.conn == Some(conn));
        let receiving = self.receiving.iter();
        let receiving = receiving.filter(|(_, receiving)| receiving.conn == Some(conn));
        let ids = sending.map(|(id, _)| id).chain(receiving.map(|(id, _)| id));
        ids.copied().next()
    }
}
