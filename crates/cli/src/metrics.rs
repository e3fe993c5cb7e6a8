//! `--metrics`: where programs read figures over HTTP, and what is said of it.

use std::net::SocketAddr;

use clap::Args;

/// Where programs read figures.
#[derive(Debug, Args)]
pub(crate) struct MetricsArguments {
    /// Answer HTTP there, as `IP:PORT` or `[v6]:PORT`: /metrics for Prometheus, and /healthz. Without it: nowhere
    #[arg(long, value_name = "ADDRESS", env = "DATAFLOW_METRICS", value_parser = address)]
    pub(crate) metrics: Option<SocketAddr>,
}

/// An address in a text.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "it is written as IP:PORT or [v6]:PORT. With 127.0.0.1:9090, programs of this machine can read; with 0.0.0.0:9090 \
         those of every machine that reaches this one"
            .to_owned()
    })
}

/// What is said of the address at which metrics are read now.
pub(crate) fn lines(address: SocketAddr) -> Vec<String> {
    let mut lines = vec![format!(
        "metrics are at http://{address}/metrics, health at http://{address}/healthz"
    )];
    if !address.ip().is_loopback() {
        lines.push(format!(
            "whoever reaches {address} can read them, with the names of nodes: there is no password. With \
             --metrics 127.0.0.1:{} only programs of this machine can",
            address.port()
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_an_ip_and_a_port() {
        for text in ["127.0.0.1:9090", "[::1]:9090", "0.0.0.0:0"] {
            assert!(address(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "9090",
            ":9090",
            "localhost:9090",
            "127.0.0.1",
            "127.0.0.1:65536",
            "::1:9090",
        ] {
            assert!(
                address(text).unwrap_err().contains("127.0.0.1:9090"),
                "{text}"
            );
        }
    }

    #[test]
    fn an_address_that_others_reach_is_said_to_be_one() {
        let said = |text: &str| lines(text.parse().unwrap());
        assert_eq!(said("127.0.0.1:9090").len(), 1);
        assert_eq!(said("[::1]:9090").len(), 1);
        assert!(said("0.0.0.0:9090")[1].contains("no password"));
        assert!(said("[::]:9090")[1].contains("--metrics 127.0.0.1:9090"));
    }
}
