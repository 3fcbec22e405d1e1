//! A folder that nobody wishes for: cut files, pictures that claim to be enormous, and names that are no files at all, with
//! a few good pictures between. Every good one is resized, every other is reported once, by name and cause, in bounded
//! time and memory.
//!
//! `XRAY_STORM=50` makes it so many rounds, each with drawings spoilt at random; `ci/long/xray-storm.sh` does.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::{self, File},
    io::Cursor,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt, fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use serde_json::Value;

use crate::{
    chest,
    program::{Ended, Running, example, in_own_process},
    skipped, within,
};

/// Each kind of run has two.
const WORKERS: u64 = 2;
/// What the program and its workers may have together, while every picture is small or refused.
const MOST_MIB: u64 = 1024;

#[test]
fn every_file_is_resized_or_reported() {
    let rounds = std::env::var("XRAY_STORM").ok().map(|text| text.parse().expect("a number of rounds"));
    let limit = if rounds.is_some() { 1200 } else { 150 };
    within(limit + 20, move || {
        in_own_process("storm::every_file_is_resized_or_reported", move || {
            within(limit, move || storm(rounds));
        });
    });
}

fn storm(rounds: Option<u64>) {
    let start = Instant::now();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for round in 1..=rounds.unwrap_or(1) {
        let folder = Hostile::new();
        folder.spoil(round, if rounds.is_some() { 40 } else { 6 });
        let mut before: Option<BTreeSet<String>> = None;
        for kind in ["processes", "threads", "loop"] {
            let failed = folder.run(kind, &[], &mut counts);
            // A picture spoilt a little may be fit to be seen or not, but that is no matter of who looks at it.
            assert!(before.is_none_or(|before| before == failed), "round {round}: {kind} differs");
            before = Some(failed);
        }
    }
    let peak = children_mib();
    // No process had more than the largest.
    assert!(peak * (WORKERS + 1) < MOST_MIB, "{peak} MiB in one process");
    let seconds = start.elapsed().as_secs_f64();
    println!("{} rounds, {seconds:.1} s, at most {peak} MiB in a process", rounds.unwrap_or(1));
    println!("images resized or reported: {counts:?}");
    if rounds.is_some() {
        large();
    }
}

/// Pictures that are as large as may be: the bound of a task, which each worker may reach at once.
fn large() {
    let mut drawing = chest::draw(1, 1);
    resize_jpeg(&mut drawing, 10_000, 10_000);
    for (name, file, fate) in [
        ("wide.png", bomb(16_000, 16_000), Fate::Good),
        ("tall.png", bomb(2_000, 100_000), Fate::Good),
        // These have an end, if not all that should come before.
        ("stretched.jpg", drawing, Fate::Either),
        ("coefficients.jpg", progressive(16_000, 16_000), Fate::Either),
        ("zeros.jpg", Vec::new(), Fate::Bad(REFUSED)),
    ] {
        let folder = Hostile::empty();
        // The baseline and the control take the first alone.
        folder.write("a.pgm", &small(), Fate::Good);
        folder.write(name, &file, fate);
        if file.is_empty() {
            let zeros = File::options().write(true).open(folder.hostile(name)).expect("a file");
            zeros.set_len(250 << 20).expect("a sparse file");
        }
        folder.run("processes", &["--sample", "1"], &mut BTreeMap::new());
        let peak = children_mib();
        println!("{name}: at most {peak} MiB in a process so far");
        assert!(peak < 1024, "{peak} MiB for one task");
    }
}

/// What must become of a file.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Good,
    /// Reported, with this in the cause.
    Bad(&'static str),
    Either,
}

impl Fate {
    fn is(self, cause: Option<&str>) -> bool {
        match (self, cause) {
            (Self::Good, None) | (Self::Either, _) => true,
            (Self::Bad(CUT), Some(cause)) => cause.contains(CUT) || cause.contains(REFUSED),
            (Self::Bad(expected), Some(cause)) => cause.contains(expected),
            _ => false,
        }
    }
}

struct Hostile {
    folder: tempfile::TempDir,
    /// As the program shows them.
    files: std::cell::RefCell<BTreeMap<String, Fate>>,
    _socket: Option<UnixListener>,
}

/// For pictures that may be refused by their size, the words of several decoders.
const REFUSED: &str = "can't be decoded";
/// A decoder may find this too, in its own words.
const CUT: &str = "is cut off";

impl Hostile {
    fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("hostile")).expect("a folder");
        Self { folder, files: std::cell::RefCell::default(), _socket: None }
    }

    fn new() -> Self {
        let mut folder = Self::empty();
        folder.cut();
        folder.enormous();
        folder.no_files();
        folder.names();
        let path = folder.hostile("socket.jpg");
        folder._socket = Some(UnixListener::bind(path).expect("a socket"));
        folder.expect("socket.jpg", Fate::Bad("not a regular file"));
        folder
    }

    fn hostile(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join("hostile").join(name)
    }

    fn expect(&self, shown: &str, fate: Fate) {
        let before = self.files.borrow_mut().insert(format!("hostile/{shown}"), fate);
        assert!(before.is_none(), "{shown} twice");
    }

    fn write(&self, name: &str, bytes: &[u8], fate: Fate) {
        fs::write(self.hostile(name), bytes).expect(name);
        self.expect(name, fate);
    }

    /// Cut at many places; and files of other kinds under a picture's name.
    fn cut(&self) {
        let drawing = chest::draw(1, 1);
        self.write("whole.jpeg", &drawing, Fate::Good);
        let picture = image::load_from_memory(&drawing).expect("a picture").crop_imm(300, 300, 160, 120);
        for (format, name) in [
            (ImageFormat::Jpeg, "jpeg"),
            (ImageFormat::Png, "png"),
            (ImageFormat::Gif, "gif"),
            (ImageFormat::Tiff, "tiff"),
            (ImageFormat::Bmp, "bmp"),
            (ImageFormat::Pnm, "pgm"),
            (ImageFormat::Tga, "tga"),
        ] {
            let file = encode(&picture, format);
            self.write(&format!("good.{name}"), &file, Fate::Good);
            for percent in [0, 1, 2, 10, 50, 90] {
                let part = &file[..file.len() * percent / 100];
                self.write(&format!("cut-{percent}.{name}"), part, Fate::Bad(CUT));
            }
        }
        let jpeg = encode(&picture, ImageFormat::Jpeg);
        for bytes in [1, 2, 3, 20, jpeg.len() - 2, jpeg.len() - 1] {
            self.write(&format!("cut-at-{bytes}.jpg"), &jpeg[..bytes], Fate::Bad(CUT));
        }
        self.write("text.png", b"no picture at all\n", Fate::Bad(REFUSED));
        self.write("script.jpg", b"#!/bin/sh\nexit 1\n", Fate::Bad(REFUSED));
        self.write("zip.webp", b"PK\x03\x04 and so on", Fate::Bad(REFUSED));
    }

    /// Few bytes that claim to be many pixels, and a file of many bytes.
    fn enormous(&self) {
        self.write("bomb.png", &bomb(60_000, 60_000), Fate::Bad(REFUSED));
        let mut jpeg = chest::draw(1, 2);
        resize_jpeg(&mut jpeg, 65_535, 65_535);
        self.write("bomb.jpg", &jpeg, Fate::Bad(REFUSED));
        self.write("bomb.gif", b"GIF89a\xff\xff\xff\xff\xf0\0\0\0\0\0\xff\xff\xff\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x44\x01\0\x3b", Fate::Bad(REFUSED));
        let mut bmp = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
        bmp.extend([65_536u32, 32_768].map(u32::to_le_bytes).concat());
        bmp.extend([1, 0, 24, 0]);
        bmp.resize(54 + 100, 0);
        self.write("bomb.bmp", &bmp, Fate::Bad(REFUSED));
        self.write("bomb.tiff", &tiff(65_536, 32_768), Fate::Bad(REFUSED));
        self.write("bomb.pgm", b"P5 2147483647 65535 255\n0123456789", Fate::Bad(REFUSED));
        self.write("long.pgm", format!("P2 {} 1 255\n", "9".repeat(5000)).as_bytes(), Fate::Bad(REFUSED));
        let mut tga = vec![0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 24, 0];
        tga.resize(200, 7);
        self.write("bomb.tga", &tga, Fate::Bad(REFUSED));
        self.write("bomb.qoi", b"qoif\x80\0\0\0\x80\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\x01", Fate::Bad(REFUSED));
        self.write("bomb.ff", b"farbfeld\x7f\xff\xff\xff\0\0\xff\xff12345678", Fate::Bad(REFUSED));
        self.write(
            "bomb.hdr",
            b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2000000000 +X 30000\n1234",
            Fate::Bad(REFUSED),
        );
        self.write("sparse.jpg", &[], Fate::Bad("it has 51200 MiB"));
        let sparse = File::options().write(true).open(self.hostile("sparse.jpg")).expect("a file");
        sparse.set_len(50 << 30).expect("a sparse file");
    }

    /// What a folder may hold besides files.
    fn no_files(&self) {
        fs::create_dir(self.hostile("folder.jpg")).expect("a folder");
        self.write("folder.jpg/inside.pgm", &small(), Fate::Good);
        self.write("folder.jpg/inside.jpg", b"", Fate::Bad(REFUSED));
        fs::create_dir(self.hostile("empty.jpg")).expect("a folder");
        for (to, name, fate) in [
            ("good.png", "link.png", Fate::Good),
            ("b.png", "a.png", Fate::Bad("symbolic links")),
            ("a.png", "b.png", Fate::Bad("symbolic links")),
            ("nowhere.png", "dangling.png", Fate::Bad("No such file")),
            (".", "round.png", Fate::Bad("is a directory")),
            ("/dev/zero", "zero.png", Fate::Bad("not a regular file")),
            ("/dev/null", "null.jpg", Fate::Bad("not a regular file")),
        ] {
            symlink(to, self.hostile(name)).expect(name);
            self.expect(name, fate);
        }
        assert!(Command::new("mkfifo").arg(self.hostile("pipe.jpg")).status().expect("mkfifo").success());
        self.expect("pipe.jpg", Fate::Bad("not a regular file"));
        self.write("closed.pgm", &small(), Fate::Bad("Permission denied"));
        let closed = fs::Permissions::from_mode(0o000);
        fs::set_permissions(self.hostile("closed.pgm"), closed).expect("it is ours");
    }

    /// Names that would move a terminal's cursor, or are no text.
    fn names(&self) {
        for (name, shown) in [
            (&b"two\nlines"[..], "two\\nlines"),
            (b"red\x1b[31m\x07", "red\\u{1b}[31m\\u{7}"),
            (b"one-byte\x9b2J", "one-byte\\x9b2J"),
            (b"no-text\xff\xfe", "no-text\\xff\\xfe"),
            ("back\u{202e}wards".as_bytes(), "back\\u{202e}wards"),
            ("R\u{f6}ntgen".as_bytes(), "R\u{f6}ntgen"),
        ] {
            let with = |end: &str| self.hostile(OsStr::from_bytes(&[name, end.as_bytes()].concat()));
            fs::write(with(".pgm"), small()).expect("a file");
            self.expect(&format!("{shown}.pgm"), Fate::Good);
            fs::write(with(".png"), "torn").expect("a file");
            self.expect(&format!("{shown}.png"), Fate::Bad(REFUSED));
        }
        // A decoder repeats what it found, and that is no text for a terminal either.
        self.write("says.pgm", b"P2 \x1b[2J\x07 1 255\n0\n", Fate::Bad(REFUSED));
    }

    /// Drawings, each with a few bits turned or a part cut out.
    fn spoil(&self, round: u64, files: usize) {
        let mut dice = round;
        let mut next = move |below: usize| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) as usize % below
        };
        let drawing = chest::draw(round, 1);
        let picture = image::load_from_memory(&drawing).expect("a picture").crop_imm(100, 100, 120, 90);
        for file in 0..files {
            let (format, name) = [
                (ImageFormat::Jpeg, "jpg"),
                (ImageFormat::Png, "png"),
                (ImageFormat::Tiff, "tiff"),
                (ImageFormat::Gif, "gif"),
                (ImageFormat::Bmp, "bmp"),
                (ImageFormat::WebP, "webp"),
            ][file % 6];
            let mut bytes = if file == 0 { drawing.clone() } else { encode(&picture, format) };
            for _ in 0..=next(4) {
                // Half of them in the head, where sizes stand.
                let reach = if next(2) == 0 { 100 } else { bytes.len() };
                let at = next(reach.min(bytes.len()));
                if next(3) > 0 {
                    bytes[at] ^= 1 << next(8);
                } else {
                    let end = bytes.len().min(at + 1 + next(300));
                    bytes.drain(at..end);
                }
            }
            self.write(&format!("spoilt-{file}.{name}"), &bytes, Fate::Either);
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let program = example("xray_resize");
        let mut command = Command::new(&program);
        if self.files.borrow().contains_key("hostile/closed.pgm")
            && fs::read(self.hostile("closed.pgm")).is_ok()
        {
            // Root may read everything, unless it gives that up.
            if Command::new("setpriv").arg("--version").output().is_ok() {
                command = Command::new("setpriv");
                command.args(["--bounding-set", "-dac_override,-dac_read_search"]).arg(&program);
            } else {
                skipped(
                    "root reads every file, and there is no setpriv: a file without rights is not tested",
                );
                self.files.borrow_mut().insert("hostile/closed.pgm".to_owned(), Fate::Good);
            }
        }
        command.args(args).current_dir(self.folder.path());
        command
    }

    /// One run over the folder, in which one file goes and one changes; checked. Gives the names that were reported.
    fn run(&self, kind: &str, more: &[&str], counts: &mut BTreeMap<String, usize>) -> BTreeSet<String> {
        let (vanishing, changing) = (self.hostile("zz-vanishing.pgm"), self.hostile("zz-changing.pgm"));
        fs::write(&vanishing, small()).expect("a file");
        fs::write(&changing, small()).expect("a file");
        let args = [
            "--dir",
            "hostile",
            "--executor",
            kind,
            "--workers",
            "2",
            "--json",
            "--verbose",
            "--out",
            "a.npy",
        ];
        let mut running = Running::start(self.command(&[&args[..], more].concat()));
        running.wait_for(" images"); // they are listed
        fs::remove_file(&vanishing).expect("it was there");
        fs::write(&changing, "another content").expect("it is there");
        let ended = running.end();
        assert_eq!(ended.code, Some(1), "{kind}: {ended:?}");

        let mut reported: BTreeMap<&str, &str> = BTreeMap::new();
        let missing = ended.stderr.lines().filter_map(|line| line.split_once(" is missing: "));
        for (name, cause) in missing {
            assert!(reported.insert(name, cause).is_none(), "{name} is reported twice");
        }
        assert_plain(&ended);
        let files = self.files.borrow();
        let wrong: Vec<_> = files
            .iter()
            .map(|(name, fate)| (name, fate, reported.get(name.as_str()).copied()))
            .filter(|(_, fate, cause)| !fate.is(*cause))
            .collect();
        assert!(wrong.is_empty(), "{kind}: {wrong:#?}");
        let of_moment = ["hostile/zz-vanishing.pgm", "hostile/zz-changing.pgm"];
        let known = |name: &str| files.contains_key(name) || of_moment.contains(&name);
        assert!(reported.keys().all(|name| known(name)), "{kind}: reported out of nowhere: {reported:?}");
        let (listed, failed) = (files.len() + 2, reported.len());
        let figures: Value = serde_json::from_str(&ended.stdout).expect("one object");
        assert_eq!((&figures["images"], &figures["failed"]), (&listed.into(), &failed.into()), "{kind}");
        let rows = fs::read(self.folder.path().join("a.npy")).expect("the array").len() / (64 * 64);
        assert_eq!(rows, listed - failed, "{kind}: thumbnails and reports are not all files");

        *counts.entry("resized".to_owned()).or_default() += rows;
        for cause in reported.values() {
            let cause = cause.split([':', '(']).next().unwrap_or_default().trim();
            *counts.entry(cause.to_owned()).or_default() += 1;
        }
        fs::remove_file(&changing).expect("it is there");
        reported.keys().filter(|name| !of_moment.contains(name)).map(|name| name.to_string()).collect()
    }
}

/// Nothing that a terminal obeys has come through.
fn assert_plain(ended: &Ended) {
    for line in ended.stderr.lines().chain(ended.stdout.lines()) {
        let obeyed = line.chars().any(|char| char.is_control() || ('\u{202a}'..='\u{202e}').contains(&char));
        assert!(!obeyed, "{line:?}");
    }
}

/// The most memory that any process had which this one has started, or one of those.
pub(crate) fn children_mib() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: a valid place for the answer.
    let got = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()) };
    assert_eq!(got, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: numbers alone, for which zeros would do.
    let usage = unsafe { usage.assume_init() };
    let unit = if cfg!(target_os = "macos") { 1 << 20 } else { 1 << 10 };
    usage.ru_maxrss as u64 / unit
}

fn small() -> Vec<u8> {
    encode(&GrayImage::from_fn(80, 70, |x, y| Luma([(x * 2 + y) as u8])).into(), ImageFormat::Pnm)
}

fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let picture = match format {
        ImageFormat::Gif | ImageFormat::WebP => picture.to_rgba8().into(),
        _ => picture.clone(),
    };
    picture.write_to(&mut file, format).expect("a file");
    file.into_inner()
}

/// Lets the header of a JPEG claim another size.
fn resize_jpeg(file: &mut [u8], width: u16, height: u16) {
    let head = file.windows(2).position(|pair| matches!(pair, [0xff, 0xc0..=0xc2])).expect("a frame");
    file[head + 5..head + 7].copy_from_slice(&height.to_be_bytes());
    file[head + 7..head + 9].copy_from_slice(&width.to_be_bytes());
}

/// A JPEG whose decoder must remember each coefficient of each pixel: its one scan says of each block of 64 only, in two
/// bits, that it is as gray as the one before.
fn progressive(width: u16, height: u16) -> Vec<u8> {
    let mut file = chest::draw(1, 1);
    resize_jpeg(&mut file, width, height);
    let head = file.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame");
    file[head + 1] = 0xc2;
    let scan = file.windows(2).position(|pair| pair == [0xff, 0xda]).expect("a scan");
    let end = scan + 2 + usize::from(file[scan + 3]);
    file.truncate(end);
    file[end - 3..].fill(0); // the first coefficients only
    let blocks = usize::from(width / 8) * usize::from(height / 8);
    file.resize(end + blocks / 4, 0);
    file.extend([0xff, 0xd9]);
    file
}

/// A PNG of black pixels, a bit each: a thousandth of its size, which is an eighth of what it becomes.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let rows = vec![0; (width as usize / 8 + 1) * 100];
    let rows = crate::deflated((0..height / 100).map(|_| &rows[..]));
    crate::png((width, height), (1, 0), &[], rows)
}

/// A TIFF of one strip of so many gray pixels, of which there are a few.
fn tiff(width: u32, height: u32) -> Vec<u8> {
    let mut file = b"II\x2a\0\x08\0\0\0".to_vec();
    let fields = [
        (256u16, width),
        (257, height),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 200),
        (277, 1),
        (278, height),
        (279, 64),
    ];
    file.extend((fields.len() as u16).to_le_bytes());
    for (tag, value) in fields {
        file.extend(tag.to_le_bytes());
        file.extend([4, 0, 1, 0, 0, 0]);
        file.extend(value.to_le_bytes());
    }
    file.resize(264, 0);
    file
}
