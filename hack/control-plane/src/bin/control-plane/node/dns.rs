//! The DNS server of the node's pods. It knows the names that Kubernetes' DNS specification gives to
//! addresses of pods (`10-77-0-10.NAMESPACE.pod.cluster.local`), and that of the API server.

use std::net::{Ipv4Addr, UdpSocket};
use std::thread;

use aep_control_plane::SERVICE_ADDRESS;

use crate::failure::Failure;

/// Of RFC 1035, section 4.1.1: an answer, authoritative.
const ANSWER: [u8; 2] = [0x84, 0x00];
/// The same, and there is no such name.
const NO_NAME: [u8; 2] = [0x84, 0x03];
/// Kind A, of the internet.
const ADDRESS: [u8; 4] = [0, 1, 0, 1];
const HEADER: usize = 12;
/// The longest query without extensions.
const LONGEST: usize = 512;

/// Answers until the process ends.
pub(crate) fn serve(address: Ipv4Addr) -> Result<(), Failure> {
    let socket = UdpSocket::bind((address, 53)).map_err(Failure::io("listen for DNS queries"))?;
    thread::spawn(move || {
        let mut buffer = [0; LONGEST];
        loop {
            // A client that has gone makes the next call fail, not the socket.
            if let Ok((length, client)) = socket.recv_from(&mut buffer)
                && let Some(reply) = reply(&buffer[..length])
            {
                let _ = socket.send_to(&reply, client);
            }
        }
    });
    Ok(())
}

/// The reply to a query with one question; none to what is not one.
fn reply(query: &[u8]) -> Option<Vec<u8>> {
    let (header, rest) = query.split_at_checked(HEADER)?;
    if header[4..6] != [0, 1] {
        return None;
    }
    let (name, length) = name(rest)?;
    let kind = rest.get(length..length + ADDRESS.len())?;
    let address = resolve(&name);
    let answers = address.filter(|_| kind == ADDRESS);

    let mut reply = header[..2].to_vec();
    reply.extend(if address.is_some() { ANSWER } else { NO_NAME });
    reply.extend([0, 1, 0, u8::from(answers.is_some()), 0, 0, 0, 0]);
    reply.extend(&rest[..length + ADDRESS.len()]);
    if let Some(address) = answers {
        // The name of the question, five seconds to live, four bytes.
        reply.extend([0xc0, 0x0c]);
        reply.extend(ADDRESS);
        reply.extend([0, 0, 0, 5, 0, 4]);
        reply.extend(address.octets());
    }
    Some(reply)
}

/// The name at the beginning, in lower case, and its length in bytes.
fn name(bytes: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = 0;
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = str::from_utf8(bytes.get(at..at + length)?).ok()?;
        labels.push(label.to_ascii_lowercase());
        at += length;
    }
}

fn resolve(name: &str) -> Option<Ipv4Addr> {
    if name == "kubernetes.default.svc.cluster.local" {
        return SERVICE_ADDRESS.ip().to_string().parse().ok();
    }
    let (address, namespace) = name.strip_suffix(".pod.cluster.local")?.split_once('.')?;
    let address = address.replace('-', ".").parse().ok();
    address.filter(|_| !namespace.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00";

    fn ask(name: &str, kind: u8) -> Vec<u8> {
        let mut query = QUERY.to_vec();
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend(label.as_bytes());
        }
        query.extend([0, 0, kind, 0, 1]);
        reply(&query).unwrap()
    }

    #[test]
    fn the_name_of_a_pods_address_is_answered_with_it() {
        let reply = ask("10-77-0-10.Tenant.pod.cluster.local", 1);
        assert_eq!(reply[..8], [0x12, 0x34, 0x84, 0x00, 0, 1, 0, 1]);
        assert_eq!(reply[reply.len() - 4..], [10, 77, 0, 10]);
        let reply = ask("kubernetes.default.svc.cluster.local", 1);
        assert_eq!(reply[reply.len() - 4..], [10, 0, 0, 1]);
    }

    #[test]
    fn an_address_of_the_other_kind_is_not_there_and_other_names_are_unknown() {
        let reply = ask("10-77-0-10.tenant.pod.cluster.local", 28);
        assert_eq!(reply[2..8], [0x84, 0x00, 0, 1, 0, 0]);
        for name in [
            "example.org",
            "10-77-0-10.a.b.pod.cluster.local",
            "10-77.a.pod.cluster.local",
        ] {
            assert_eq!(ask(name, 1)[2..4], NO_NAME, "{name}");
        }
    }

    #[test]
    fn what_is_no_query_gets_no_reply() {
        for query in [
            &b""[..],
            QUERY,
            b"\x12\x34\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00",
        ] {
            assert_eq!(reply(query), None);
        }
    }
}
