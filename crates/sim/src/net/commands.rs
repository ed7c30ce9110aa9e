//! What ends do with sockets, and the laws of it.

use super::conn::{Arrival, Owner};
use super::{Due, Moment, Net, Place};
use crate::Side;
use alloc::format;
use alloc::string::String;
use bytestreams_machine::{ConnId, ConnectError, ListenId, NetCommand, NetInput, Token};
use bytestreams_stanza::StreamHost;
use core::net::{IpAddr, SocketAddr};

/// Where an intruder and its connections come from.
const ELSEWHERE: SocketAddr = SocketAddr::new(
    IpAddr::V4(core::net::Ipv4Addr::new(198, 51, 100, 66)),
    6_666,
);

/// Who of an end does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Its machine.
    Machine,
    /// Its application.
    App,
}

impl Net {
    /// Carries a command of an end out.
    ///
    /// # Errors
    /// When the end breaks the contract of sockets.
    pub(crate) fn command(
        &mut self,
        side: Side,
        by: By,
        command: NetCommand,
        moment: &mut Moment<'_>,
    ) -> Result<(), String> {
        match command {
            NetCommand::Listen(listen) => self.listen(side, listen, moment)?,
            NetCommand::Unlisten(listen) => self.unlisten(side, listen)?,
            NetCommand::Connect(token, host) => self.connect(side, token, &host, moment)?,
            NetCommand::Send(conn, octets) => {
                let end = self.own(side, conn, "Send")?;
                if end.shut {
                    return Err(format!("Send on {conn:?} after ShutdownWrite"));
                }
                if end.detached != (by == By::App) {
                    return Err(format!("{by:?} sends on {conn:?}, which is not its own"));
                }
                self.write(conn, octets, moment);
            }
            NetCommand::ShutdownWrite(conn) => {
                let end = self.own(side, conn, "ShutdownWrite")?;
                if end.shut {
                    return Err(format!("ShutdownWrite on {conn:?} twice"));
                }
                if by == By::Machine && end.detached {
                    end.draining = true;
                    end.tell_again(moment.now);
                }
                self.shut(conn, moment);
            }
            NetCommand::Close(conn) => {
                self.own(side, conn, "Close")?;
                self.close(conn, moment);
            }
            NetCommand::Detach(conn) => {
                let end = self.own(side, conn, "Detach")?;
                if core::mem::replace(&mut end.detached, true) || by == By::App {
                    return Err(format!("{by:?} detaches {conn:?}, which is detached"));
                }
                end.tell_again(moment.now);
            }
        }
        self.intrude(moment);
        Ok(())
    }

    fn own(
        &mut self,
        side: Side,
        conn: ConnId,
        what: &str,
    ) -> Result<&mut super::conn::End, String> {
        match self.ends.get_mut(&conn) {
            Some(end) if end.side() == Some(side) => Ok(end),
            _ => Err(format!("{what} on {conn:?}, which is not open here")),
        }
    }

    fn listen(
        &mut self,
        side: Side,
        listen: ListenId,
        moment: &mut Moment<'_>,
    ) -> Result<(), String> {
        if self.listeners(side).any(|(known, _)| known == listen) {
            return Err(format!("{listen:?} listens already"));
        }
        let port = self.port(Some(side));
        if self.strikes(self.faults.deaf, moment.chooser) {
            return Ok(());
        }
        for ip in Self::addresses_of(side).into_iter().take(self.addresses) {
            let at = SocketAddr::new(ip, port);
            self.listeners.insert(at, (side, listen));
            let due = moment.now + self.delay(moment.chooser);
            self.due
                .push((due, Due::Notice(side, NetInput::Listening(listen, at))));
        }
        Ok(())
    }

    /// Stops listening. An end may stop what could never listen.
    fn unlisten(&mut self, side: Side, listen: ListenId) -> Result<(), String> {
        self.listeners.retain(|_, at| *at != (side, listen));
        self.due.retain(|(_, due)| {
            !matches!(due, Due::Notice(of, NetInput::Listening(id, _)) if (*of, *id) == (side, listen))
        });
        Ok(())
    }

    fn connect(
        &mut self,
        side: Side,
        token: Token,
        host: &StreamHost,
        moment: &mut Moment<'_>,
    ) -> Result<(), String> {
        if !self.attempts.insert((side, token)) {
            return Err(format!("{token:?} is under way already"));
        }
        let address = host.host.parse::<IpAddr>().ok();
        let address = address.or_else(|| self.names.get(&*host.host).copied());
        let at = moment.now + self.delay(moment.chooser);
        let due = match address {
            Some(ip) => Due::Attempt(side, token, SocketAddr::new(ip, host.port)),
            None => Due::Notice(side, NetInput::Failed(token, ConnectError::Dns)),
        };
        self.due.push((at, due));
        Ok(())
    }

    /// An attempt to connect arrives where it is for.
    pub(crate) fn attempt(
        &mut self,
        side: Side,
        token: Token,
        to: SocketAddr,
        moment: &mut Moment<'_>,
    ) {
        let from = SocketAddr::new(
            Self::addresses_of(side)[usize::from(to.is_ipv6())],
            self.port(None),
        );
        let lost = self.strikes(self.faults.lose, moment.chooser);
        let refused = !lost && self.strikes(self.faults.refuse, moment.chooser);
        let (silent, error) = match self.places.get(&to) {
            _ if lost => (true, None),
            _ if refused => (false, Some(ConnectError::Refused)),
            Some(Place::Silent) => (true, None),
            Some(Place::Fails(error)) => (false, Some(*error)),
            Some(Place::Speaks(_)) => (false, None),
            None if self.listeners.contains_key(&to) => (false, None),
            None => (false, Some(ConnectError::Refused)),
        };
        if silent {
            if let Some(patience) = self.patience {
                let failed = NetInput::Failed(token, ConnectError::TimedOut);
                let at = moment.now + patience;
                self.due.push((at, Due::Notice(side, failed)));
            }
            return;
        }
        if let Some(error) = error {
            let failed = NetInput::Failed(token, error);
            let at = moment.now + self.delay(moment.chooser);
            self.due.push((at, Due::Notice(side, failed)));
            return;
        }
        self.attempts.remove(&(side, token));
        let near = (Owner::Node(side), Arrival::Connected(token));
        let far = if let Some(Place::Speaks(answer)) = self.places.get_mut(&to) {
            let speak = answer(to, moment.chooser);
            (Owner::Speaker(speak), Arrival::Open)
        } else if let Some((side, listen)) = self.listeners.get(&to).copied() {
            (Owner::Node(side), Arrival::Accepted(listen, from))
        } else {
            return;
        };
        self.join(near, far, moment);
    }

    /// An end is about to be told this.
    pub(crate) fn told(&mut self, side: Side, input: &NetInput) {
        if let NetInput::Failed(token, _) = input {
            self.attempts.remove(&(side, *token));
        }
    }

    /// Lets the intruder in, if there is one and its time has come.
    fn intrude(&mut self, moment: &mut Moment<'_>) {
        if self.intruder.is_none()
            || self.listeners.is_empty()
            || !self.strikes(self.faults.intrude, moment.chooser)
        {
            return;
        }
        let count = u32::try_from(self.listeners.len()).unwrap_or(u32::MAX);
        let picked = moment.chooser.choose(count) as usize;
        let listener = self.listeners.iter().nth(picked);
        let Some((at, (side, listen))) = listener.map(|(at, listener)| (*at, *listener)) else {
            return;
        };
        let Some(answer) = &mut self.intruder else {
            return;
        };
        let speak = answer(at, moment.chooser);
        self.join(
            (Owner::Speaker(speak), Arrival::Open),
            (Owner::Node(side), Arrival::Accepted(listen, ELSEWHERE)),
            moment,
        );
    }
}
