//! What a machine offers, as people read it.

use dataflow_wire::peers::Offer;

/// As files of peers count memory: 1024³ bytes.
const GB: f64 = 1024.0 * 1024.0 * 1024.0;

/// `16.0 GB, 8 cpus, gpu, room=lab`; `-` when nothing is said.
pub(crate) fn text(offer: &Offer) -> String {
    let mut parts = Vec::new();
    parts.extend(
        offer
            .memory_bytes
            .map(|bytes| format!("{:.1} GB", bytes as f64 / GB)),
    );
    parts.extend(offer.cpus.map(|cpus| match cpus {
        1 => "1 cpu".to_owned(),
        cpus => format!("{cpus} cpus"),
    }));
    parts.extend(
        offer
            .gpu
            .map(|gpu| if gpu { "gpu" } else { "no gpu" }.to_owned()),
    );
    parts.extend(
        offer
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}")),
    );
    match parts.is_empty() {
        true => "-".to_owned(),
        false => parts.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_said_is_left_out() {
        assert_eq!(text(&Offer::default()), "-");
        let mut offer = Offer {
            memory_bytes: Some(17_179_869_184),
            gpu: Some(true),
            ..Offer::default()
        };
        assert_eq!(text(&offer), "16.0 GB, gpu");
        offer.cpus = Some(1);
        offer.gpu = Some(false);
        offer.labels.insert("room".to_owned(), "lab".to_owned());
        assert_eq!(text(&offer), "16.0 GB, 1 cpu, no gpu, room=lab");
    }
}
