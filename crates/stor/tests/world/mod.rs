//! A client and a server with two queues of messages between them, and a chooser that decides what
//! happens next. The fuzz target `stor` runs the same world.

use alloc::collections::VecDeque;
use bytes::Bytes;
use bytestreams_machine::Instant;
use bytestreams_sim::Chooser;
use bytestreams_stor::{
    Client, ClientConfig, ClientEvent, Code, Credentials, Encoding, Input, Message, Output, Reason,
    Refusal, Server, ServerConfig, ServerEvent, Upload,
};

/// What a run is about.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The file.
    pub(crate) content: Vec<u8>,
    /// How it travels.
    pub(crate) encoding: Encoding,
    /// The server's window and block; the client knows them unless the server is another's.
    pub(crate) window: u16,
    /// Octets of a block.
    pub(crate) block: u32,
    /// The server announces nothing.
    pub(crate) foreign: bool,
    /// The password, where one is given; `x` is right.
    pub(crate) password: Option<&'static str>,
    /// The server asks for one.
    pub(crate) login: bool,
    /// The server's disk takes so many octets.
    pub(crate) disk: usize,
    /// Connections may break, and applications stop.
    pub(crate) cuts: bool,
    /// What a stranger says in the client's place, once.
    pub(crate) hostile: Option<Message>,
}

impl Setup {
    /// A file that meets no obstacle.
    #[allow(dead_code, reason = "the fuzz target chooses its setups")]
    pub(crate) fn plain(content: &[u8], encoding: Encoding, window: u16, block: u32) -> Self {
        Self {
            content: content.to_vec(),
            encoding,
            window,
            block,
            foreign: false,
            password: None,
            login: false,
            disk: usize::MAX,
            cuts: false,
            hostile: None,
        }
    }

    /// Any run at all.
    pub(crate) fn chosen(chooser: &mut dyn Chooser) -> Self {
        let size = [0, 1, 2, 5, 12, 40][chooser.choose(6) as usize];
        Self {
            content: (0..size).map(|n| (n * 37 + 11) as u8).collect(),
            encoding: [Encoding::Binary, Encoding::Base64][chooser.choose(2) as usize],
            window: [1, 2, 5][chooser.choose(3) as usize],
            block: [3, 1, 7, 64][chooser.choose(4) as usize],
            foreign: chooser.choose(2) == 1,
            password: [None, Some("x"), Some("y")][chooser.choose(3) as usize],
            login: chooser.choose(2) == 1,
            disk: [usize::MAX, 0, 5][chooser.choose(3) as usize],
            cuts: chooser.choose(2) == 1,
            hostile: (chooser.choose(3) == 2).then(|| hostile(chooser)),
        }
    }
}

/// A message that has no place, or may have one.
fn hostile(chooser: &mut dyn Chooser) -> Message {
    let texts = [
        "",
        "STOR",
        "STOR: {}",
        "STOR: {\"filename\":\"a\",\"size\":2}",
        "STOR [{\"filename\":\"../a\",\"size\":2,\"type\":\"binary\"}]",
        "AUTH: {\"login\":\"a\",\"password\":\"x\"}",
        "AUTH {",
        "AAAA",
        "AA==",
        "AA",
        "A A A A",
    ];
    match chooser.choose(texts.len() as u32 + 2) as usize {
        n if n < texts.len() => Message::Text(Bytes::from_static(texts[n].as_bytes())),
        n => {
            let octets: Vec<u8> = (0..chooser.choose(80))
                .map(|_| chooser.choose(256) as u8)
                .collect();
            if n == texts.len() {
                Message::Binary(octets.into())
            } else {
                Message::Text(octets.into())
            }
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The client says that it is done.
    pub(crate) done: bool,
    /// The server put the file in place.
    pub(crate) placed: bool,
    /// What happened, in order.
    pub(crate) trace: u64,
}

enum Wire {
    Message(Message),
    Oversized,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    ToServer,
    ToClient,
    Write,
    Store,
    Decide,
    Complete,
    Hostile,
    Cut,
    StopClient,
    StopServer,
    Silence,
    Oversized,
    Time,
}

struct World<'a> {
    setup: &'a Setup,
    client: Client,
    server: Server,
    now: Instant,
    up: VecDeque<Wire>,
    down: VecDeque<Wire>,
    written: usize,
    reading: VecDeque<Bytes>,
    file: Vec<u8>,
    placed: bool,
    full: bool,
    decide: Option<bool>,
    finish: bool,
    hostile: Option<Message>,
    attacked: bool,
    /// Nothing passes any more.
    silent: bool,
    client_closed: bool,
    server_closed: bool,
    client_end: Option<Result<(), Reason>>,
    server_end: bool,
    disturbed: bool,
    trace: u64,
}

const MOST: usize = 2000;

/// Runs it to its end.
///
/// # Errors
/// The law that broke.
pub(crate) fn run(setup: &Setup, chooser: &mut dyn Chooser) -> Result<Outcome, String> {
    let now = Instant::ZERO;
    let mut config = ServerConfig::default();
    config.window = setup.window.try_into().map_err(|_| "a window")?;
    config.block = setup.block.try_into().map_err(|_| "a block")?;
    config.limits.block = 64.try_into().map_err(|_| "a block")?;
    config.limits.waiting = 32;
    config.login = setup.login;
    let mut upload = Upload::new("a", setup.content.len() as u64);
    upload.encoding = setup.encoding;
    upload.credentials = setup.password.map(|password| Credentials {
        login: "a".into(),
        password: password.into(),
    });
    let mut asked = ClientConfig::default();
    asked.block = setup.block.try_into().ok();
    let mut world = World {
        client: Client::new(upload, asked, now).map_err(|e| e.to_string())?,
        server: Server::new(config, now),
        now,
        up: VecDeque::new(),
        down: VecDeque::new(),
        written: 0,
        reading: VecDeque::new(),
        file: Vec::new(),
        placed: false,
        full: false,
        decide: None,
        finish: false,
        hostile: setup.hostile.clone(),
        attacked: false,
        silent: false,
        client_closed: false,
        server_closed: false,
        client_end: None,
        server_end: false,
        disturbed: false,
        trace: 0xcbf2_9ce4_8422_2325,
        setup,
    };
    world.drain()?;
    for _ in 0..MOST {
        let steps = world.steps();
        // The last one of two is Time, which comes by itself only when nothing else can.
        let Some(&step) = steps.get(chooser.choose(steps.len() as u32) as usize) else {
            return world.end();
        };
        world.trace = (world.trace ^ step as u64).wrapping_mul(0x0100_0000_01b3);
        world.step(step);
        world.drain()?;
        world.hold()?;
    }
    Err(format!("still running after {MOST} steps"))
}

impl World<'_> {
    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut may = |step, possible: bool| {
            if possible {
                steps.push(step);
            }
        };
        let messages_first =
            matches!(self.up.front(), Some(Wire::Closed)) || self.server.is_ready();
        may(Step::ToServer, !self.up.is_empty() && messages_first);
        may(Step::ToClient, !self.down.is_empty());
        may(Step::Decide, self.decide.is_some());
        may(Step::Store, !self.reading.is_empty());
        may(Step::Complete, self.finish);
        may(Step::Write, self.client.room().is_some());
        let over = self.client.is_over() && self.server.is_over();
        let live = !self.silent && !over;
        may(Step::Hostile, self.hostile.is_some() && live);
        if self.setup.cuts && live && !self.disturbed {
            for step in [
                Step::Cut,
                Step::StopClient,
                Step::StopServer,
                Step::Silence,
                Step::Oversized,
            ] {
                may(step, true);
            }
        }
        if steps.is_empty() && self.deadline().is_some() {
            steps.push(Step::Time);
        }
        steps
    }

    fn deadline(&self) -> Option<Instant> {
        let both = [self.client.poll_timeout(), self.server.poll_timeout()];
        both.into_iter().flatten().min()
    }

    fn step(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::ToServer => match self.up.pop_front() {
                Some(Wire::Message(message)) => {
                    self.server.handle_input(Input::Message(message), now);
                }
                Some(Wire::Oversized) => self.server.handle_input(Input::Oversized, now),
                Some(Wire::Closed) => self.server.handle_input(Input::Closed, now),
                None => {}
            },
            Step::ToClient => match self.down.pop_front() {
                Some(Wire::Message(message)) => {
                    self.client
                        .handle_input(Input::Message(self.stripped(message)), now);
                }
                Some(Wire::Oversized) => {}
                Some(Wire::Closed) => self.client.handle_input(Input::Closed, now),
                None => {}
            },
            Step::Write => {
                let room = self.client.room().unwrap_or(0);
                let block = self.setup.content[self.written..self.written + room].to_vec();
                self.written += room;
                assert_eq!(self.client.write(block.into(), now), Ok(()), "room said so");
            }
            Step::Store => {
                if let Some(block) = self.reading.pop_front() {
                    if self.file.len() + block.len() > self.setup.disk {
                        self.full = true;
                        self.server.refuse(Refusal::new(Code::Storage, "full"));
                    } else if !self.full {
                        self.file.extend_from_slice(&block);
                        self.server.stored(now);
                    }
                }
            }
            Step::Decide => match self.decide.take() {
                Some(true) => self.server.accept(now),
                Some(false) => self.server.log_in(self.setup.password != Some("y"), now),
                None => {}
            },
            Step::Complete => {
                self.finish = false;
                self.placed = true;
                self.server.complete("a", now);
            }
            Step::Hostile => {
                self.attacked = true;
                self.up.extend(self.hostile.take().map(Wire::Message));
            }
            Step::Cut => {
                self.disturbed = true;
                self.up.push_back(Wire::Closed);
                self.down.push_back(Wire::Closed);
                (self.client_closed, self.server_closed) = (true, true);
            }
            Step::StopClient => {
                self.disturbed = true;
                self.client.stop();
            }
            Step::StopServer => {
                self.disturbed = true;
                self.server.stop();
            }
            Step::Silence => {
                self.disturbed = true;
                self.silent = true;
                self.up.clear();
                self.down.clear();
            }
            Step::Oversized => {
                self.disturbed = true;
                self.up.push_back(Wire::Oversized);
            }
            Step::Time => {
                if let Some(deadline) = self.deadline() {
                    self.now = self.now.max(deadline);
                    self.client.handle_timeout(self.now);
                    self.server.handle_timeout(self.now);
                }
            }
        }
    }

    /// What a server of someone else's would have said.
    fn stripped(&self, message: Message) -> Message {
        match message {
            Message::Text(text) if self.setup.foreign => {
                let mut answer: serde_json::Value =
                    serde_json::from_slice(&text).expect("an answer of ours");
                answer
                    .as_object_mut()
                    .map(|answer| answer.remove("bytestreams"));
                Message::Text(answer.to_string().into())
            }
            other @ (Message::Text(_) | Message::Binary(_)) => other,
        }
    }

    fn drain(&mut self) -> Result<(), String> {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Send(message) if self.client_closed => {
                    if !self.disturbed {
                        return Err(format!("{message:?} behind the client's close"));
                    }
                }
                Output::Send(message) => self.carry(Wire::Message(message), true),
                Output::Close(_) => {
                    self.client_closed = true;
                    self.carry(Wire::Closed, true);
                }
                Output::Event(event) => {
                    if self.client_end.is_some() {
                        return Err(format!("{event:?} behind the client's end"));
                    }
                    match event {
                        ClientEvent::Done { .. } => self.client_end = Some(Ok(())),
                        ClientEvent::Failed(reason) => self.client_end = Some(Err(reason)),
                        ClientEvent::Stored(octets) if octets > self.written as u64 => {
                            return Err(format!("{octets} octets stored of {}", self.written));
                        }
                        _ => {}
                    }
                }
            }
        }
        while self.reading.len() < 2
            && let Some(block) = self.server.read()
        {
            self.reading.push_back(block);
        }
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send(message) if self.server_closed => {
                    if !self.disturbed {
                        return Err(format!("{message:?} behind the server's close"));
                    }
                }
                Output::Send(Message::Binary(_)) => return Err("a binary answer".into()),
                Output::Send(message) => self.carry(Wire::Message(message), false),
                Output::Close(_) => {
                    self.server_closed = true;
                    self.carry(Wire::Closed, false);
                }
                Output::Event(event) => {
                    if self.server_end {
                        return Err(format!("{event:?} behind the server's end"));
                    }
                    match event {
                        ServerEvent::Login(_) => self.decide = Some(false),
                        ServerEvent::Request(_) => self.decide = Some(true),
                        ServerEvent::Complete => self.finish = true,
                        ServerEvent::Ended(_) => {
                            self.server_end = true;
                            (self.decide, self.finish) = (None, false);
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }

    fn carry(&mut self, wire: Wire, up: bool) {
        if self.silent {
            return;
        }
        if up {
            self.up.push_back(wire);
        } else {
            self.down.push_back(wire);
        }
    }

    fn hold(&self) -> Result<(), String> {
        if !self.attacked && !self.setup.content.starts_with(&self.file) {
            return Err("what is stored is no beginning of the file".into());
        }
        if self.server.waiting() > 32 + 64 {
            return Err(format!("{} octets wait", self.server.waiting()));
        }
        let window = if self.setup.foreign {
            1
        } else {
            self.setup.window
        };
        if self.client.unanswered() > usize::from(window) {
            return Err(format!("{} blocks unanswered", self.client.unanswered()));
        }
        if self.finish && !self.attacked && self.file != self.setup.content {
            return Err("complete, but not whole".into());
        }
        for deadline in [self.client.poll_timeout(), self.server.poll_timeout()] {
            if deadline.is_some_and(|deadline| deadline <= self.now) {
                return Err("a deadline that does not move".into());
            }
        }
        Ok(())
    }

    fn end(&self) -> Result<Outcome, String> {
        let done = self.client_end == Some(Ok(()));
        if self.client_end.is_none() || !self.client.is_over() || !self.server.is_over() {
            return Err(format!("stuck: {:?} {:?}", self.client, self.server));
        }
        if !self.server_end {
            return Err("the server's application was not told".into());
        }
        if done && !(self.placed && (self.attacked || self.file == self.setup.content)) {
            return Err("the client is done, and the server is not".into());
        }
        let obstacle = self.disturbed
            || self.attacked
            || self.setup.content.len() > self.setup.disk
            || self.setup.password == Some("y")
            || self.setup.login && self.setup.password.is_none();
        if !obstacle && !done {
            return Err(format!(
                "nothing stood in the way, and yet {:?}",
                self.client_end
            ));
        }
        Ok(Outcome {
            done,
            placed: self.placed,
            trace: self.trace,
        })
    }
}
