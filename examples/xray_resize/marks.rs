//! What a JPEG's marks say of it: where it ends, and whether its colours come one after the other.
//!
//! The marks are followed from the start. Read from the end, a file could not be told from what was appended to it.

use image::GrayImage;

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;

/// Whether the picture has its end. A preview inside it has marks of its own, in a segment that is passed over.
pub(super) fn is_whole(jpeg: &[u8]) -> bool {
    let mut marks = segments(jpeg).map(|segment| segment.mark).skip(1);
    marks.find(|mark| matches!(*mark, START | END)) == Some(END)
}

struct Segment<'a> {
    mark: u8,
    content: &'a [u8],
    /// Of a scan: the pixels behind it.
    data: &'a [u8],
}

impl Segment<'_> {
    /// As it stands in a file.
    fn write_to(&self, file: &mut Vec<u8>) {
        write(file, self.mark, self.content);
        file.extend(self.data);
    }
}

fn write(file: &mut Vec<u8>, mark: u8, content: &[u8]) {
    file.extend([0xff, mark]);
    if !matches!(mark, START | END) {
        file.extend((content.len() as u16 + 2).to_be_bytes());
        file.extend(content);
    }
}

fn segments(jpeg: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut rest = jpeg;
    std::iter::from_fn(move || {
        let (_, mark, behind) = next_mark(rest)?;
        if matches!(mark, START | END) {
            rest = behind;
            return Some(Segment { mark, content: &[], data: &[] });
        }
        let (length, _) = behind.split_first_chunk()?;
        let (segment, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let content = segment.get(2..)?;
        let mut data: &[u8] = &[];
        rest = behind;
        if mark == SCAN {
            let length = next_mark(behind).map_or(behind.len(), |(before, ..)| before);
            (data, rest) = behind.split_at(length);
        }
        Some(Segment { mark, content, data })
    })
}

/// How many bytes are before the next mark, the mark, and what is behind it. A zero makes 0xff a pixel's; the marks of a
/// new start among the pixels are theirs too.
fn next_mark(bytes: &[u8]) -> Option<(usize, u8, &[u8])> {
    let mut at = 0;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        let fill = bytes[at..].iter().take_while(|byte| **byte == 0xff).count();
        let (before, mark) = (at + fill - 1, *bytes.get(at + fill)?);
        at += fill + 1;
        if !matches!(mark, 0 | 1 | 0xd0..=0xd7) {
            return Some((before, mark, &bytes[at..]));
        }
    }
}

/// How the colours of a picture come.
pub(super) enum Planes {
    Together,
    /// One after the other, some of them smaller: zune-jpeg 0.5.15 gives wrong pixels then (etemesi254/zune-image#422).
    Apart(Apart),
    /// So too, but not each by itself.
    Unknown,
}

/// A picture of three colours, each of which has a scan by itself.
pub(super) struct Apart {
    size: (u32, u32),
    /// Each colour as a gray JPEG.
    pub(super) files: Vec<Vec<u8>>,
    /// How fine each is across and down.
    fine: [(u32, u32); 3],
    is_rgb: bool,
}

pub(super) fn planes(jpeg: &[u8]) -> Planes {
    let frame = segments(jpeg)
        .find(|segment| matches!(segment.mark, 0xc0..=0xcf if !matches!(segment.mark, 0xc4 | 0xc8 | 0xcc)));
    // Others than the sequential ones are in scans as a rule, and decoded rightly.
    let Some(frame) = frame.filter(|frame| matches!(frame.mark, 0xc0 | 0xc1)) else {
        return Planes::Together;
    };
    let Some((head, colours)) = frame.content.split_at_checked(6) else { return Planes::Together };
    let (colours, _) = colours.as_chunks::<3>();
    let is_scan = |segment: &Segment<'_>| segment.mark == SCAN;
    let in_scan = |segment: &Segment<'_>| segment.content.first().copied().unwrap_or(0);
    let is_one_scan =
        segments(jpeg).find(is_scan).is_none_or(|scan| usize::from(in_scan(&scan)) == colours.len());
    if is_one_scan || colours.iter().all(|[_, fine, _]| *fine == colours[0][1]) {
        return Planes::Together;
    }
    match colours {
        [a, b, c] if head[0] == 8 => {
            Apart::new(jpeg, head, [*a, *b, *c]).map_or(Planes::Unknown, Planes::Apart)
        }
        _ => Planes::Unknown,
    }
}

impl Apart {
    fn new(jpeg: &[u8], head: &[u8], colours: [[u8; 3]; 3]) -> Option<Self> {
        let number = |at: usize| u32::from(u16::from_be_bytes([head[at], head[at + 1]]));
        let size = (number(3), number(1));
        let fine = colours.map(|[_, fine, _]| (u32::from(fine >> 4), u32::from(fine & 15)));
        let finest = finest(&fine);
        if fine.iter().any(|fine| fine.0 == 0 || fine.1 == 0) {
            return None;
        }
        let (mut tables, mut has_jfif, mut adobe) = (Vec::new(), false, None);
        let mut files = [const { Vec::new() }; 3];
        for segment in segments(jpeg).take_while(|segment| segment.mark != END) {
            match segment.mark {
                0xe0 => has_jfif |= segment.content.starts_with(b"JFIF"),
                0xee if segment.content.starts_with(b"Adobe") => adobe = segment.content.get(11).copied(),
                0xc4 | 0xdb | 0xdd => segment.write_to(&mut tables),
                SCAN => {
                    let [1, name, ..] = *segment.content else { return None };
                    let place = colours.iter().position(|colour| colour[0] == name)?;
                    let ((across, down), file) = (fine[place], &mut files[place]);
                    let [width, height] =
                        [(size.0 * across).div_ceil(finest.0), (size.1 * down).div_ceil(finest.1)]
                            .map(|length| (length as u16).to_be_bytes());
                    write(file, START, &[]);
                    file.extend(&tables);
                    let head =
                        [8, height[0], height[1], width[0], width[1], 1, name, 0x11, colours[place][2]];
                    write(file, 0xc0, &head);
                    segment.write_to(file);
                    write(file, END, &[]);
                }
                _ => {}
            }
        }
        let is_rgb = match adobe {
            _ if has_jfif => false,
            Some(transform) => transform == 0,
            None => colours.map(|colour| colour[0]) == *b"RGB",
        };
        files.iter().all(|file| !file.is_empty()).then(|| Self { size, files: files.into(), fine, is_rgb })
    }

    /// The whole, of its planes.
    pub(super) fn gray(&self, planes: &[GrayImage]) -> GrayImage {
        let finest = finest(&self.fine);
        let level = |place: usize, x: u32, y: u32| {
            let (plane, (across, down)) = (&planes[place], self.fine[place]);
            let (x, y) = (x * across / finest.0, y * down / finest.1);
            i32::from(plane.get_pixel(x.min(plane.width() - 1), y.min(plane.height() - 1)).0[0])
        };
        let rgb = (0..self.size.1).flat_map(|y| (0..self.size.0).map(move |x| (x, y))).flat_map(|(x, y)| {
            let [a, b, c] = [0, 1, 2].map(|place| level(place, x, y));
            if self.is_rgb { [a, b, c].map(|level| level as u8) } else { of_ycc(a, b - 128, c - 128) }
        });
        let gray = xray_pixels::gray(&rgb.collect::<Vec<u8>>());
        GrayImage::from_raw(self.size.0, self.size.1, gray).expect("a level for each pixel")
    }
}

fn finest(fine: &[(u32, u32); 3]) -> (u32, u32) {
    fine.iter().fold((1, 1), |finest, fine| (finest.0.max(fine.0), finest.1.max(fine.1)))
}

/// Red, green and blue, by JFIF.
fn of_ycc(luma: i32, blue: i32, red: i32) -> [u8; 3] {
    let rounded = |value: i32| (value + 0x8000) >> 16;
    let green = rounded(22_554 * blue + 46_802 * red);
    [luma + rounded(91_881 * red), luma - green, luma + rounded(116_130 * blue)]
        .map(|level| level.clamp(0, 255) as u8)
}
