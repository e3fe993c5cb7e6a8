//! Makes an answer go wrong.

use std::io;
use std::time::{Duration, SystemTime};

use super::answer::{Answer, Piece};
use super::cdn::denied;
use super::content::{Content, sha256};
use super::date::http_date;
use super::delivery::{Begin, Delivery, Framing};
use super::fault::{Ending, Fault, RetryAfter, WrongRange};
use super::files::part_of;
use super::gzip::gzip;
use super::record::{Listener, Stage};
use super::request::Head;
use super::routes::{LOOP, Routed};
use super::shared::Shared;

/// What people see when a proxy fails, or a portal wants them to log in.
const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sorry</title></head>\n<body><h1>Please log in</h1></body></html>\n";

/// A request whose answer goes wrong.
pub(super) struct Wrong<'a> {
    pub(super) shared: &'a Shared,
    pub(super) listener: Listener,
    pub(super) head: &'a Head,
    pub(super) routed: &'a mut Routed,
    pub(super) delivery: &'a mut Delivery,
}

impl Wrong<'_> {
    /// Lets it go wrong.
    pub(super) fn go(&mut self, fault: &Fault) -> io::Result<()> {
        let fin = |after_bytes: &Option<u64>| after_bytes.map(|after| (after, Ending::Fin));
        match fault {
            Fault::Cut {
                after_bytes,
                ending,
            } => self.delivery.end_after = Some((*after_bytes, *ending)),
            Fault::NoAnswer(ending) => self.delivery.begin = Begin::End(*ending),
            Fault::Mute => self.delivery.begin = Begin::Nothing,
            Fault::Stall { after_bytes } => self.delivery.stall_after = Some(*after_bytes),
            Fault::Drip { bytes, every } => self.delivery.drip = Some(((*bytes).max(1), *every)),
            Fault::Slow { bytes_per_second } => {
                self.delivery.bytes_per_second = Some(*bytes_per_second);
            }
            Fault::DelayedHead(time) => self.delivery.begin = Begin::HeadAfter(*time),
            Fault::NoHttp => self.delivery.begin = Begin::Nonsense,
            Fault::ShortBody { missing_bytes } => self.short(*missing_bytes),
            Fault::LongBody { extra_bytes } => {
                let extra = Piece::Bytes(vec![b'x'; *extra_bytes]);
                self.routed.answer.body.push(extra);
            }
            Fault::LyingLength { by_bytes } => {
                self.delivery.framing = Framing::Length(*by_bytes);
            }
            Fault::AbsentLength { after_bytes } => {
                self.delivery.framing = Framing::Close;
                self.delivery.end_after = fin(after_bytes);
            }
            Fault::Chunked { after_bytes } => {
                self.delivery.framing = Framing::Chunks;
                self.delivery.end_after = fin(after_bytes);
            }
            Fault::FlippedByte { at } => self.delivery.flip_at = Some(*at),
            Fault::ErrorPage { status } => self.routed.answer = Answer::page(*status, PAGE),
            Fault::ChunkedPage => {
                self.routed.answer = Answer::page(200, PAGE);
                self.delivery.framing = Framing::Chunks;
            }
            Fault::Status {
                status,
                retry_after,
            } => self.routed.answer = refusal(*status, *retry_after),
            Fault::IgnoredRange => {
                if let Some(source) = &self.routed.source {
                    self.routed.answer = part_of(source, &self.without_range());
                }
            }
            Fault::WrongRange(wrong) => self.wrong_range(*wrong),
            Fault::ChangedEtag => self.changed_etag(),
            Fault::ChangedSize { by_bytes } => self.changed_size(*by_bytes)?,
            Fault::RedirectLoop => {
                let location = format!("{}{LOOP}", self.shared.addresses.of(self.listener));
                self.redirect(&location);
            }
            Fault::RedirectToPlain => self.without_encryption(),
            Fault::Gzip => self.pack()?,
            Fault::ExpiredLink => self.expire(),
        }
        Ok(())
    }

    fn short(&mut self, missing_bytes: u64) {
        let answer = &mut self.routed.answer;
        let length = answer.length();
        // A part has a byte at least, or its `Content-Range` could not be written.
        let least = u64::from(answer.status == 206);
        let left = length.saturating_sub(missing_bytes).max(least.min(length));
        answer.shorten(left);
        if let Some(range) = answer.header_mut("Content-Range")
            && let Some((first, total)) = range
                .strip_prefix("bytes ")
                .and_then(|rest| rest.split_once('/'))
                .and_then(|(range, total)| Some((range.split_once('-')?.0, total)))
            && let Ok(first) = first.parse::<u64>()
        {
            *range = format!("bytes {first}-{}/{total}", first + left - 1);
        }
    }

    fn wrong_range(&mut self, wrong: WrongRange) {
        let Some(source) = &self.routed.source else {
            return;
        };
        let right = part_of(source, self.head);
        let (mut first, last) = match right.body.first() {
            Some(Piece::Part(_, part)) if part.start + 1 < part.end => (part.start, part.end - 1),
            // There is nothing that could be wrong about it.
            _ => return,
        };
        let mut total = source.content.size_bytes();
        let said = match wrong {
            WrongRange::OtherStart => {
                first += 1;
                first
            }
            WrongRange::HiddenShift => {
                first += 1;
                first - 1
            }
            WrongRange::OtherTotal => {
                total += 1;
                first
            }
            WrongRange::Missing | WrongRange::Garbled => first,
        };
        let mut answer = right;
        answer.status = 206;
        answer.body = vec![Piece::Part(source.content.clone(), first..last + 1)];
        answer.headers.retain(|(name, _)| name != "Content-Range");
        self.routed.answer = match wrong {
            WrongRange::Missing => answer,
            WrongRange::Garbled => answer.with("Content-Range", "bytes of the file"),
            // A hidden shift has as many bytes as it says.
            WrongRange::HiddenShift => answer.with(
                "Content-Range",
                &format!("bytes {said}-{}/{total}", last - 1),
            ),
            _ => answer.with("Content-Range", &format!("bytes {said}-{last}/{total}")),
        };
    }

    fn changed_etag(&mut self) {
        if let Some(source) = &mut self.routed.source {
            source.etag = other(&source.etag);
            self.routed.answer = part_of(source, self.head);
        }
        if let Some(etag) = self.routed.answer.header_mut("X-Linked-Etag") {
            *etag = other(etag);
        }
    }

    fn changed_size(&mut self, by_bytes: i64) -> io::Result<()> {
        if let Some(source) = &mut self.routed.source {
            let size = source.content.size_bytes().saturating_add_signed(by_bytes);
            let mut bytes =
                vec![0; usize::try_from(source.content.size_bytes()).map_err(io::Error::other)?];
            source.content.open()?.read_exact_at(&mut bytes, 0)?;
            bytes.resize(usize::try_from(size).map_err(io::Error::other)?, b'x');
            source.content = Content::from(bytes);
            self.routed.answer = part_of(source, self.head);
        }
        if let Some(size) = self.routed.answer.header_mut("X-Linked-Size")
            && let Ok(listed) = size.parse::<u64>()
        {
            *size = listed.saturating_add_signed(by_bytes).to_string();
        }
        Ok(())
    }

    fn redirect(&mut self, location: &str) {
        self.routed.answer = Answer::text(302, &format!("Found. Redirecting to {location}"))
            .with("Location", location);
    }

    fn without_encryption(&mut self) {
        let addresses = &self.shared.addresses;
        let location = match self.routed.answer.header_mut("Location") {
            Some(location) => location.replacen(&addresses.cdn, &addresses.plain, 1),
            None => format!("{}{}", addresses.plain, self.head.target),
        };
        match self.routed.answer.header_mut("Location") {
            Some(have) => *have = location,
            None => self.redirect(&location),
        }
    }

    fn pack(&mut self) -> io::Result<()> {
        if let Some(source) = &self.routed.source {
            self.routed.answer = part_of(source, &self.without_range());
        }
        let answer = &mut self.routed.answer;
        let packed = gzip(&answer.bytes()?);
        answer.body = vec![Piece::Bytes(packed)];
        answer
            .headers
            .push(("Content-Encoding".to_owned(), "gzip".to_owned()));
        Ok(())
    }

    fn expire(&mut self) {
        if let Some(link) = self.routed.link {
            self.shared.change(|state| state.expire_link(link));
        }
        if self.routed.stage == Stage::Content {
            self.routed.answer = denied("AccessDenied", "Request has expired");
        }
    }

    fn without_range(&self) -> Head {
        let mut head = self.head.clone();
        head.headers.retain(|(name, _)| name != "range");
        head
    }
}

/// A refusal as the Hub writes it.
fn refusal(status: u16, retry_after: RetryAfter) -> Answer {
    let answer = Answer::refusal(status, None, "We had to refuse this request");
    match retry_after {
        RetryAfter::Nothing => answer,
        RetryAfter::Seconds(seconds) => answer.with("Retry-After", &seconds.to_string()),
        RetryAfter::Date(seconds) => {
            // Cut to the second, a date would be too early.
            let then = SystemTime::now() + Duration::from_secs(seconds + 1);
            answer.with("Retry-After", &http_date(then))
        }
        RetryAfter::RateLimit(seconds) => answer
            .with("RateLimit", &format!("\"api\";r=0;t={seconds}"))
            .with("RateLimit-Policy", "\"fixed window\";\"api\";q=500;w=300"),
        RetryAfter::Nonsense => answer.with("Retry-After", "-99999999999999999999, soon"),
    }
}

/// Another hash of the same length, in quotes as the given one.
fn other(etag: &str) -> String {
    let hash = etag.trim_matches('"');
    let mut another = sha256(hash.as_bytes());
    another.truncate(hash.len());
    format!("\"{another}\"")
}
