//! The parts of containers, as serde asks for them: [`Elements`], [`Entries`], [`OneEntry`], [`Variant`].

use super::{Decoder, Error};
use serde_core::de::value::BorrowedStrDeserializer;
use serde_core::de::{
    Deserialize, DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};

pub(super) struct Elements<'d, 'de> {
    pub(super) decoder: &'d mut Decoder<'de>,
    pub(super) left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        if self.decoder.run == 0 {
            self.decoder.owed -= 1;
        }
        seed.deserialize(&mut *self.decoder).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// Of a map, whose keys are values, or of a struct, whose keys are names.
pub(super) struct Entries<'d, 'de> {
    pub(super) decoder: &'d mut Decoder<'de>,
    pub(super) left: usize,
    pub(super) named: bool,
    pub(super) open_key: bool,
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if self.open_key {
            return Err(Error::new("a map's value was not read"));
        }
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.decoder.owed -= 1;
        self.open_key = true;
        if self.named {
            let name = self.decoder.name()?;
            return seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some);
        }
        seed.deserialize(&mut *self.decoder).map(Some)
    }

    #[inline]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        if !self.open_key {
            return Err(Error::new("a map's value was asked for before its key"));
        }
        self.decoder.owed -= 1;
        self.open_key = false;
        seed.deserialize(&mut *self.decoder)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A variant that holds something, as JSON shows it to who doesn't know that it is one: `{"Name": value}`.
pub(super) struct OneEntry<'d, 'de> {
    pub(super) decoder: &'d mut Decoder<'de>,
    pub(super) name: Option<&'de str>,
}

impl<'de> MapAccess<'de> for OneEntry<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let name = self.name.take();
        name.map(|name| seed.deserialize(BorrowedStrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(&mut *self.decoder)
    }
}

pub(super) struct Variant<'d, 'de> {
    pub(super) decoder: &'d mut Decoder<'de>,
    pub(super) name: &'de str,
    /// Whether a value follows the name.
    pub(super) holds: bool,
}

impl<'d, 'de> Variant<'d, 'de> {
    fn held(self, wanted: &'static str) -> Result<&'d mut Decoder<'de>, Error> {
        if self.holds { Ok(self.decoder) } else { Err(Error::invalid_type(Unexpected::UnitVariant, &wanted)) }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name = seed.deserialize(BorrowedStrDeserializer::<Error>::new(self.name))?;
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        if self.holds { Deserialize::deserialize(self.decoder) } else { Ok(()) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.held("newtype variant")?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.held("tuple variant")?.any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.held("struct variant")?.any(visitor)
    }
}
