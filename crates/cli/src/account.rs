//! Accounts: passwords, presence, and who of a contact's resources takes files.

use crate::args::{AccountArgs, Tls};
use crate::escape::escape;
use crate::failure::Failure;
use bytestreams_stanza::{Jid, Payload, Presence, PresenceType, Stanza, ns};
use bytestreams_tokio::client::{Account, Security};
use bytestreams_tokio::{Endpoint, Methods, Others};
use core::time::Duration;
use std::collections::BTreeMap;
use std::path::Path;
use tokio::time::{Instant, timeout_at};

/// Chats go to other resources of the account (RFC 6121, 4.7.2.3).
const PRIORITY: i8 = -1;

/// How long a contact's presence is waited for.
const PRESENCE: Duration = Duration::from_secs(10);

/// How long more resources are waited for after the last one showed up.
const QUIET: Duration = Duration::from_millis(700);

/// How long a resource may take to tell its features.
const DISCO: Duration = Duration::from_secs(10);

const PASSWORD: &str = "BYTESTREAMS_PASSWORD";

/// Makes of the arguments what the link needs; `None` without an account.
pub(crate) fn account(args: &AccountArgs) -> Result<Option<Account>, Failure> {
    let Some(jid) = &args.jid else {
        return Ok(None);
    };
    if jid.local().is_none() {
        return Err(Failure::usage(format!(
            "{} is not an account: give --jid as USER@DOMAIN",
            escape(jid.as_str())
        )));
    }
    let password = secret(
        args.password_file.as_deref(),
        "--password-file",
        PASSWORD,
        "password",
    )?;
    let mut account = Account::new(jid.clone(), password);
    account.server.clone_from(&args.server);
    if args.tls == Some(Tls::InsecurePlaintext) {
        account.security = Security::InsecurePlaintext;
    }
    Ok(Some(account))
}

/// Takes a secret from the first line of a file, or from the environment. `flag`, `variable` and
/// `what` are the names of those and of what it is.
pub(crate) fn secret(
    file: Option<&Path>,
    flag: &str,
    variable: &str,
    what: &str,
) -> Result<String, Failure> {
    let secret = match file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|e| Failure::usage(format!("cannot read {}: {e}", path.display())))?
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
        None => std::env::var(variable).unwrap_or_default(),
    };
    if secret.is_empty() {
        return Err(Failure::usage(match file {
            Some(path) => format!("{} has no {what} in its first line", path.display()),
            None => format!("no {what}: give {flag} FILE, or set {variable}"),
        }));
    }
    Ok(secret)
}

/// Says that we are there, without drawing chats here.
pub(crate) fn announce(endpoint: &Endpoint) -> Result<(), Failure> {
    let presence = Presence {
        from: None,
        to: None,
        kind: PresenceType::Available,
        priority: PRIORITY,
        caps: Some(Box::new(endpoint.caps().clone())),
    };
    endpoint
        .send_stanza(presence.into())
        .map_err(|_| Failure::unconnected("the server ended the connection after the login"))
}

/// Finds the one available resource of a bare JID that takes files. `others` was begun before the
/// presence was sent.
pub(crate) async fn resolve(
    endpoint: &Endpoint,
    others: &mut Others,
    to: &Jid,
    methods: &Methods,
    unannounced: bool,
) -> Result<Jid, Failure> {
    let name = escape(to.as_str());
    let available = available(endpoint, others, to).await;
    if available.is_empty() {
        return Err(Failure::usage(format!(
            "{name} shows no presence to us: it is offline, or we are not subscribed; \
             give the full JID, which `bytestreams receive` prints"
        )));
    }
    let mut fit = Vec::new();
    for jid in &available {
        if takes_files(endpoint, jid, methods, unannounced).await {
            fit.push(jid.clone());
        }
    }
    match fit.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::usage(format!(
            "no resource of {name} takes files; available:{}",
            listed(&available)
        ))),
        _ => Err(Failure::usage(format!(
            "several resources of {name} take files; give one of them as --to:{}",
            listed(&fit)
        ))),
    }
}

async fn available(endpoint: &Endpoint, others: &mut Others, to: &Jid) -> Vec<Jid> {
    let mut seen: BTreeMap<Jid, bool> = BTreeMap::new();
    let mut until = Instant::now() + PRESENCE;
    while let Ok(Some(stanza)) = timeout_at(until, others.next()).await {
        let Stanza::Presence(presence) = stanza else {
            continue;
        };
        let Some(from) = presence.from.filter(|from| from.same_bare(to)) else {
            continue;
        };
        if presence.kind == PresenceType::Error {
            break;
        }
        if from.is_bare() || from == *endpoint.jid() {
            continue;
        }
        match presence.kind {
            PresenceType::Available => seen.insert(from, true),
            PresenceType::Unavailable => seen.insert(from, false),
            _ => continue,
        };
        until = Instant::now() + QUIET;
    }
    seen.into_iter()
        .filter_map(|(jid, there)| there.then_some(jid))
        .collect()
}

async fn takes_files(endpoint: &Endpoint, jid: &Jid, methods: &Methods, unannounced: bool) -> bool {
    let ask = Payload::DiscoInfo(Box::default());
    let Ok(Some(Payload::DiscoInfo(info))) = endpoint.get(Some(jid.clone()), ask, DISCO).await
    else {
        return false;
    };
    let has = |feature: &str| info.features.iter().any(|f| &**f == feature);
    let has_method = methods.iter().any(|method| has(method.namespace()));
    has_method && (unannounced || has(ns::FILE_TRANSFER))
}

fn listed(jids: &[Jid]) -> String {
    jids.iter()
        .map(|jid| format!("\n  {}", escape(jid.as_str())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_the_file_is_the_password() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "open sesame\nmore\n").unwrap();
        let read = |path: &Path| secret(Some(path), "--password-file", PASSWORD, "password");
        assert_eq!(read(&path).unwrap(), "open sesame");
        std::fs::write(&path, "\nmore\n").unwrap();
        assert_eq!(read(&path).unwrap_err().status, 2);
        let missing = dir.path().join("missing");
        assert_eq!(read(&missing).unwrap_err().status, 2);
    }
}
