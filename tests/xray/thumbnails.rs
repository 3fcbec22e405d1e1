//! The task: the pixels that Pillow gives, and an error for each file that isn't whole.

use std::fs;

use image::DynamicImage;

use crate::{
    chest, radiographs,
    thumbnail::{ImageError, Order, Thumbnail, image_resize},
    within,
};

fn resize(file: &[u8], name: &str) -> Result<Thumbnail, ImageError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, file).expect("a file");
    image_resize(Order { path, size: 64, crash: false, draft: false })
}

#[test]
fn pixels_are_pillows() {
    within(60, || {
        let Some(folder) = radiographs() else { return };
        let mut paths: Vec<_> = fs::read_dir(&folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "jpeg"))
            .collect();
        paths.sort();
        let pillow = fs::read(folder.join("pillow-resize-64x64-L.bin")).expect("Pillow's pixels");
        assert!(paths.len() == 13 && pillow.len() == 13 * 64 * 64);
        let thumbnails = paths.into_iter().map(|path| {
            image_resize(Order { path, size: 64, crash: false, draft: false }).expect("a thumbnail").pixels
        });
        let ours: Vec<u8> = thumbnails.flatten().collect();
        let differences: Vec<u8> = ours.iter().zip(&pillow).map(|(a, b)| a.abs_diff(*b)).collect();
        let mean = differences.iter().map(|d| f64::from(*d)).sum::<f64>() / pillow.len() as f64;
        assert!(differences.iter().max() <= Some(&2) && mean < 0.2, "mean {mean}");
    });
}

/// Six colours and what Pillow's `convert("L")` gives for them; those that are gray already, all of them.
#[test]
fn gray_is_pillows() {
    let rgb = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [1, 2, 3], [254, 255, 253], [77, 77, 77]];
    assert_eq!(xray_pixels::gray(rgb.as_flattened()), [76, 150, 29, 2, 254, 77]);
    for level in 0..=255 {
        assert_eq!(xray_pixels::gray(&[level; 3]), [level]);
    }
}

#[test]
fn a_cut_file_is_an_error_wherever_it_is_cut() {
    within(60, || {
        let whole = chest::draw(1, 1);
        let thumbnail = resize(&whole, "whole.jpeg").expect("a thumbnail");
        assert_eq!((thumbnail.name.as_str(), thumbnail.pixels.len()), ("whole.jpeg", 64 * 64));
        for length in [0, 1, 2, 100, 700, whole.len() / 2, whole.len() - 1] {
            let error = resize(&whole[..length], "cut.jpeg").expect_err("it isn't whole");
            assert!(matches!(error, ImageError::CutOff | ImageError::Decode(_)), "{length}: {error}");
        }
    });
}

/// A small JPEG inside a large one, as cameras put it there, has an end too.
#[test]
fn a_preview_is_not_taken_for_the_picture() {
    within(60, || {
        let (whole, preview) = (chest::draw(1, 1), &[0xff, 0xd8, 0xff, 0xda, 0, 2, 0xff, 0xd9]);
        let mut file = vec![0xff, 0xd8, 0xff, 0xe1, 0, 2 + preview.len() as u8];
        file.extend(preview);
        file.extend(&whole[2..]);
        resize(&file, "preview.jpeg").expect("a thumbnail");
        file.truncate(file.len() - 1000);
        let error = resize(&file, "cut.jpeg").expect_err("it isn't whole");
        assert!(matches!(error, ImageError::CutOff), "{error}");
    });
}

#[test]
fn what_follows_the_end_is_nobodys_business() {
    within(60, || {
        let mut file = chest::draw(1, 1);
        let thumbnail = resize(&file, "a.jpeg").expect("a thumbnail");
        file.extend(b"written by a machine that likes to add a line\0\0");
        assert_eq!(resize(&file, "a.jpeg").expect("a thumbnail").pixels, thumbnail.pixels);
    });
}

#[test]
fn other_formats_give_the_same_thumbnail() {
    within(60, || {
        let file = chest::draw(1, 1);
        let of_jpeg = resize(&file, "a.jpeg").expect("a thumbnail").pixels;
        let picture = image::load_from_memory(&file).expect("a picture");
        let folder = tempfile::tempdir().expect("a folder");
        let save = |picture: DynamicImage, name: &str| {
            let path = folder.path().join(name);
            picture.save(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
            let thumbnail = image_resize(Order { path, size: 64, crash: false, draft: false });
            thumbnail.unwrap_or_else(|error| panic!("{name}: {error}")).pixels
        };
        assert!(save(picture.clone(), "whole.png") == of_jpeg);
        // A part of it: icons are small, and writing takes its time.
        let part = picture.crop_imm(300, 300, 200, 200);
        let of_part = save(part.clone(), "a.png");
        assert!(of_part.iter().max() > of_part.iter().min());
        for name in ["a.bmp", "a.pgm", "a.tga", "a.tiff", "a.webp"] {
            assert!(save(part.clone(), name) == of_part, "{name}");
        }
        assert!(save(part.to_rgb8().into(), "a.qoi") == of_part, "a.qoi");
        assert!(save(part.to_rgba8().into(), "a.ico") == of_part, "a.ico");
        assert!(save(part.to_rgba16().into(), "a.ff") == of_part, "a.ff");
        // Two with fewer shades.
        let near = |pixels: &[u8]| pixels.iter().zip(&of_part).all(|(a, b)| a.abs_diff(*b) <= 8);
        assert!(near(&save(part.to_rgba8().into(), "a.gif")), "a.gif");
        assert!(near(&save(part.to_rgb32f().into(), "a.hdr")), "a.hdr");
        assert!(matches!(resize(b"no picture", "a.png"), Err(ImageError::Decode(_))));
        let missing = Order { path: "/nowhere/a.png".into(), size: 64, crash: false, draft: false };
        assert!(matches!(image_resize(missing), Err(ImageError::Read(_))));
    });
}

/// At a fraction of the size: nearly the same picture, for grays and colours, whatever fraction; and what is no JPEG, or too small
/// for that, is the same.
#[test]
fn a_draft_is_nearly_the_same() {
    within(60, || {
        let folder = tempfile::tempdir().expect("a folder");
        let both = |path: &std::path::Path, size| {
            let make = |draft| {
                let order = Order { path: path.into(), size, crash: false, draft };
                image_resize(order).expect("a thumbnail").pixels
            };
            (make(false), make(true))
        };
        for (index, size) in (0..12).zip([64, 64, 64, 100, 200, 350].into_iter().cycle()) {
            let path = folder.path().join(format!("{index}.jpeg"));
            fs::write(&path, chest::draw(3, index)).expect("a file");
            let (whole, draft) = both(&path, size);
            assert_eq!(whole.len(), draft.len());
            let sum: u64 = whole.iter().zip(&draft).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let mean = sum as f64 / whole.len() as f64;
            assert!(mean > 0.0 && mean < 3.0, "{index} at {size}: {mean}");
        }
        let path = folder.path().join("small.png");
        DynamicImage::new_luma8(300, 200).save(&path).expect("a file");
        let (whole, draft) = both(&path, 64);
        assert_eq!(whole, draft);
        let path = folder.path().join("cut.jpeg");
        let file = chest::draw(1, 1);
        fs::write(&path, &file[..file.len() / 2]).expect("a file");
        let cut = image_resize(Order { path, size: 64, crash: false, draft: true });
        assert!(cut.is_err());
    });
}
