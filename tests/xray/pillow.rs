//! Pictures of every kind beside what Pillow makes of them, and files that decoders stumble over: through the program, as a
//! user has them. `pillow/make.py` made what is compared with.
//!
//! Reports of the same in public: grays of another formula (image-rs/image#598, image-rs/image#1554,
//! python-pillow/Pillow#8583), turned TIFFs (python-pillow/Pillow#4053), colours one after the other
//! (etemesi254/zune-image#422, #419 and #341), what is appended to a JPEG (3rd/image.nvim#379), a panic on tiles of planes
//! (image-rs/image-tiff#403), a picture of a line that takes gigabytes (image-rs/image#3083), 16 bits cut to white
//! (python-pillow/Pillow#3011, where we differ from Pillow).

use std::{collections::BTreeMap, fs, io::Cursor, path::Path, process::Command};

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, imageops};
use serde_json::Value;

use crate::{
    chest,
    program::{Ended, Running, example, in_own_process},
    within,
};

const SIZE: usize = 32;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("in")).expect("a folder");
        Self(folder)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.path().join("in").join(name), bytes).expect("a file");
    }

    fn save(&self, name: &str, picture: impl Into<DynamicImage>) {
        let path = self.0.path().join("in").join(name);
        picture.into().save(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    fn run(&self, more: &[&str]) -> Ended {
        let mut command = Command::new(example("xray_resize"));
        command.args(["--dir", "in", "--workers", "2", "--size", "32", "--out", "a.npy"]);
        command.args(more).current_dir(self.0.path()).env("RUST_BACKTRACE", "0");
        Running::start(command).end()
    }

    /// All thumbnails by the names of their files, none of which may fail.
    fn thumbnails(&self) -> BTreeMap<String, Vec<u8>> {
        let ended = self.run(&["--executor", "loop"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let entries = fs::read_dir(self.0.path().join("in")).expect("the folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
        names.sort();
        let array = fs::read(self.0.path().join("a.npy")).expect("the array");
        let rows = array[128..].chunks_exact(SIZE * SIZE);
        assert_eq!(rows.len(), names.len());
        names.into_iter().zip(rows.map(<[u8]>::to_vec)).collect()
    }
}

fn most(ours: &[u8], theirs: &[u8]) -> u8 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b)).max().expect("pixels")
}

/// Lines of few colours on white, as `make.py` draws them.
fn drawing(width: u32, height: u32) -> RgbImage {
    const COLOURS: [[u8; 3]; 5] = [[0, 0, 0], [20, 30, 250], [250, 20, 30], [10, 160, 20], [240, 230, 10]];
    RgbImage::from_fn(width, height, |x, y| {
        let line = (3 * x + 2 * y) % 37 < 3 || (2 * i64::from(x) + 150 - i64::from(y)) % 29 == 0;
        Rgb(if line { COLOURS[((x / 40 + y / 30) % 5) as usize] } else { [255; 3] })
    })
}

fn lines() -> &'static [u8] {
    include_bytes!("pillow/lines.bin")
}

#[test]
fn the_same_picture_gives_the_same_thumbnail_whatever_holds_it() {
    within(100, || {
        let folder = Folder::new();
        let picture = DynamicImage::from(drawing(240, 180));
        let mut seen_through = picture.to_rgba8();
        for (x, y, pixel) in seen_through.enumerate_pixels_mut() {
            pixel.0[3] = ((x + y) % 256) as u8;
        }
        for name in ["rgb.png", "rgb.bmp", "rgb.tiff", "rgb.tga", "rgb.ppm", "rgb.qoi"] {
            folder.save(name, picture.clone());
        }
        for name in ["rgba.png", "rgba.tiff", "rgba.tga", "rgba.qoi", "rgba.webp", "rgba.ico"] {
            folder.save(name, seen_through.clone());
        }
        folder.save("rgb.webp", picture.clone());
        folder.save("opaque.gif", picture.to_rgba8());
        folder.save("sixteen.png", picture.to_rgb16());
        folder.save("sixteen.tiff", picture.to_rgb16());
        folder.save("sixteen-rgba.png", DynamicImage::from(seen_through).to_rgba16());
        folder.write("palette.png", &palette(&drawing(240, 180)));
        // Gray by Pillow's formula already.
        let gray =
            GrayImage::from_raw(240, 180, xray_pixels::gray(drawing(240, 180).as_raw())).expect("pixels");
        let gray = DynamicImage::from(gray);
        for name in ["gray.png", "gray.pgm", "gray.tiff"] {
            folder.save(name, gray.clone());
        }
        folder.save("gray-alpha.png", gray.to_luma_alpha8());
        // 257 times as bright of 65 535: as bright. Pillow itself cuts these to white.
        folder.save("gray-sixteen.png", gray.to_luma16());
        folder.save("gray-sixteen.tiff", gray.to_luma16());
        for (name, pixels) in folder.thumbnails() {
            assert!(most(&pixels, lines()) <= 2, "{name}: {} levels", most(&pixels, lines()));
        }
    });
}

/// A PNG whose pixels are numbers of colours.
fn palette(picture: &RgbImage) -> Vec<u8> {
    let mut colours: Vec<[u8; 3]> = picture.pixels().map(|pixel| pixel.0).collect();
    colours.sort_unstable();
    colours.dedup();
    let mut rows = Vec::new();
    for row in picture.rows() {
        rows.push(0);
        rows.extend(row.map(|pixel| colours.binary_search(&pixel.0).expect("it is there") as u8));
    }
    crate::png(
        picture.dimensions(),
        (8, 3),
        &[(b"PLTE", colours.as_flattened().to_vec())],
        crate::deflated([&rows[..]]),
    )
}

#[test]
fn odd_jpegs_are_as_pillow_has_them() {
    within(100, || {
        let folder = Folder::new();
        folder.write("cmyk.jpg", include_bytes!("pillow/cmyk.jpg"));
        folder.write("planes.jpg", include_bytes!("pillow/planes.jpg"));
        let thumbnails = folder.thumbnails();
        for (name, theirs) in [
            ("cmyk.jpg", include_bytes!("pillow/cmyk.bin")),
            ("planes.jpg", include_bytes!("pillow/planes.bin")),
        ] {
            assert!(
                theirs.iter().max() > Some(&200) && theirs.iter().min() < Some(&150),
                "{name} shows nothing"
            );
            assert!(most(&thumbnails[name], theirs) <= 2, "{name}: {}", most(&thumbnails[name], theirs));
        }
    });
}

/// What is appended to a picture is not it: as a camera appends a film.
#[test]
fn the_end_of_a_jpeg_is_found_from_its_start() {
    within(100, || {
        let folder = Folder::new();
        let whole = chest::draw(1, 1);
        let with = |more: &[u8]| [&whole[..], more].concat();
        folder.write("a.jpg", &whole);
        folder.write("scan.jpg", &with(b"film\xff\xda film"));
        folder.write("start.jpg", &with(b"\xff\xd8\xff\xda"));
        folder.write("fill.jpg", &with(&[0xff; 99]));
        folder.write("another.jpg", &with(&whole[..whole.len() / 2]));
        let thumbnails = folder.thumbnails();
        assert!(thumbnails.values().all(|pixels| *pixels == thumbnails["a.jpg"]));

        let folder = Folder::new();
        let half = &whole[..whole.len() / 2];
        folder.write("cut.jpg", half);
        folder.write("whole-behind.jpg", &[half, &whole].concat());
        folder.write(
            "end-in-a-preview.jpg",
            &[&whole[..2], b"\xff\xe1\0\x06\xff\xda\xff\xd9", &half[2..]].concat(),
        );
        let ended = folder.run(&[]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert_eq!(ended.stderr.matches("is missing: is cut off").count(), 3, "{ended:?}");
    });
}

/// The orientation of a TIFF counts, as in Pillow; that of a JPEG doesn't, as there.
#[test]
fn a_tiff_is_turned_as_it_says() {
    within(100, || {
        let gray =
            GrayImage::from_fn(60, 40, |x, y| Luma([if x < 20 && y < 10 { 250 } else { (x + y) as u8 }]));
        let turned = [
            gray.clone(),
            imageops::flip_horizontal(&gray),
            imageops::rotate180(&gray),
            imageops::flip_vertical(&gray),
            imageops::flip_horizontal(&imageops::rotate90(&gray)),
            imageops::rotate90(&gray),
            imageops::flip_horizontal(&imageops::rotate270(&gray)),
            imageops::rotate270(&gray),
        ];
        let folder = Folder::new();
        for (orientation, expected) in (1..).zip(&turned) {
            folder.write(&format!("{orientation}.tiff"), &oriented(&gray, orientation));
            folder.save(&format!("{orientation}.png"), expected.clone());
        }
        let whole = chest::draw(1, 1);
        folder.write("plain.jpg", &whole);
        let mut exif =
            b"\xff\xe1\0\x22Exif\0\0II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
                .to_vec();
        exif.splice(0..0, [0xff, 0xd8]);
        exif.extend(&whole[2..]);
        folder.write("turned.jpg", &exif);
        let thumbnails = folder.thumbnails();
        for orientation in 1..=8 {
            let [ours, theirs] = ["tiff", "png"].map(|end| &thumbnails[&format!("{orientation}.{end}")]);
            assert!(ours == theirs, "orientation {orientation}");
        }
        assert!(thumbnails["plain.jpg"] == thumbnails["turned.jpg"]);
    });
}

/// A gray TIFF of one strip that says how it is to be turned.
fn oriented(picture: &GrayImage, orientation: u32) -> Vec<u8> {
    let (width, height) = picture.dimensions();
    let fields = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 200),
        (274, 3, 1, orientation),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, width * height),
    ];
    let mut file = tiff(&fields);
    file.resize(200, 0);
    file.extend(picture.as_raw());
    file
}

/// A file's name, type, count and value of each field.
fn tiff(fields: &[(u16, u16, u32, u32)]) -> Vec<u8> {
    let mut file = b"II\x2a\0\x08\0\0\0".to_vec();
    file.extend((fields.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in fields {
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(count.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file
}

/// Three planes in tiles: the decoder, tiff 0.11.3, has an assertion that doesn't hold then.
fn panics() -> Vec<u8> {
    let fields = [
        (256, 3, 1, 20),
        (257, 3, 1, 20),
        (258, 3, 3, 200),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (277, 3, 1, 3),
        (284, 3, 1, 2),
        (322, 3, 1, 16),
        (323, 3, 1, 16),
        (324, 4, 12, 220),
        (325, 4, 12, 280),
    ];
    let mut file = tiff(&fields);
    file.resize(200, 0);
    file.extend([8, 0, 8, 0, 8, 0]);
    file.resize(220, 0);
    file.extend((0..12u32).flat_map(|tile| (400 + 256 * tile).to_le_bytes()));
    file.resize(280, 0);
    file.extend([256u32; 12].map(u32::to_le_bytes).as_flattened());
    file.resize(400 + 12 * 256, 0x80);
    file
}

#[test]
fn a_decoder_that_panics_costs_one_image_in_every_mode() {
    within(200, || {
        let folder = Folder::new();
        folder.save("good.png", drawing(60, 50));
        folder.save("zgood.png", drawing(70, 50));
        folder.write("panics.tif", &panics());
        for kind in ["loop", "map", "threads", "processes", "all"] {
            let ended = folder.run(&["--executor", kind, "--json"]);
            assert_eq!(ended.code, Some(1), "{kind}: {ended:?}");
            let said = "in/panics.tif is missing: can't be decoded: its decoder panicked: assertion failed: buf.len()";
            assert_eq!(ended.stderr.matches(said).count(), 1, "{kind}: {ended:?}");
            let figures: Value = serde_json::from_str(&ended.stdout).expect("one object");
            assert_eq!((&figures["images"], &figures["failed"]), (&3.into(), &1.into()), "{kind}");
            assert_eq!(figures["shape"][0], 2, "{kind}");
            let files: Vec<_> = figures["files"].as_array().expect("files").iter().collect();
            let rows: Vec<_> =
                files.iter().map(|file| (file["file"].as_str(), file["row"].as_u64())).collect();
            let expected = [
                (Some("in/good.png"), Some(0)),
                (Some("in/panics.tif"), None),
                (Some("in/zgood.png"), Some(1)),
            ];
            assert_eq!(rows, expected, "{kind}");
            assert!(files[1]["error"].as_str().expect("why").contains("panicked"), "{kind}");
        }
    });
}

/// A line of three million pixels has 3 MB decoded. One way of making it small puts 96 MB aside, and weights take as much
/// again.
#[test]
fn memory_is_bounded_whatever_the_shape() {
    within(170, || {
        in_own_process("pillow::memory_is_bounded_whatever_the_shape", || {
            let folder = Folder::new();
            let line = |length: u32| (0..length).map(move |n| (u64::from(n) * 256 / u64::from(length)) as u8);
            let save = |name: &str, picture: GrayImage| {
                let mut file = Cursor::new(Vec::new());
                picture.write_to(&mut file, ImageFormat::Pnm).expect("a file");
                folder.write(name, file.get_ref());
            };
            let long = 3_000_000;
            save("wide.pgm", GrayImage::from_raw(long, 1, line(long).collect()).expect("pixels"));
            save("tall.pgm", GrayImage::from_raw(1, long, line(long).collect()).expect("pixels"));
            let three = line(long / 3).flat_map(|level| [level; 3]).collect();
            save("tall-3.pgm", GrayImage::from_raw(3, long / 3, three).expect("pixels"));
            let mut bits = vec![0xaa; 1 + long as usize / 8];
            bits[0] = 0; // the number of its filter
            folder.write("bits.png", &crate::png((long, 1), (1, 0), &[], crate::deflated([&bits[..]])));
            let thumbnails = folder.thumbnails();
            for (name, pixels) in &thumbnails {
                for (place, level) in pixels.iter().enumerate() {
                    let along = if name.starts_with("tall") { place / SIZE } else { place % SIZE };
                    let expected = if name == "bits.png" { 127 } else { along * 8 + 4 };
                    assert!(
                        level.abs_diff(expected as u8) <= 2,
                        "{name} at {place}: {level}, not {expected}"
                    );
                }
            }
            let peak = crate::storm::children_mib();
            println!("at most {peak} MiB");
            assert!(peak < 100, "{peak} MiB");
        });
    });
}

#[test]
fn files_that_are_no_pictures_are_counted() {
    within(100, || {
        let folder = Folder::new();
        folder.save("good.png", drawing(60, 50));
        folder.write("notes.txt", b"no picture");
        folder.write(".hidden", b"none either");
        let ended = folder.run(&["--executor", "loop", "--json", "--names", "names.txt"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stderr.contains("2 files were skipped"), "{ended:?}");
        let figures: Value = serde_json::from_str(&ended.stdout).expect("one object");
        assert_eq!(figures["passed_over"], 2);
        let names = fs::read_to_string(folder.0.path().join("names.txt")).expect("names");
        assert_eq!(Path::new(names.trim_end()), Path::new("in/good.png"));
    });
}
