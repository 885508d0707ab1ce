// Looking cities up, by id and by the beginning of their name.

/** A name as people type it: without case and without accents ("Sao" finds "São Paulo"). */
export function fold(name) {
  return name.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase()
}

/** The key of a city in the index of names. NUL sorts below every character of a name: "Ur" comes before "Ura". */
export function nameKey(name, id) {
  return `${fold(name)}\0${id}`
}

/** A plain copy of one city, or undefined. */
export function city({ cities }, id) {
  return cities.get(id)?.$native()
}

/** The first cities, by name, whose name begins with a text. */
export function search({ cities, names }, text, limit = 10) {
  const found = []
  for (const [, id] of names.range({ prefix: fold(text), limit })) found.push({ id, ...cities.get(id).$native() })
  return found
}
