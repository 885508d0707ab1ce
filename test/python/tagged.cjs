// The same as tagged.py in JavaScript; required by the programs that the tests run.
'use strict'

module.exports = (Uuid) => {
  const view = new DataView(new ArrayBuffer(8))
  const hex = (bytes) => Buffer.from(bytes).toString('hex')

  function tag(value) {
    switch (typeof value) {
      case 'boolean':
        return ['bool', String(value)]
      case 'bigint':
        return ['int', String(value)]
      case 'number':
        if (Number.isSafeInteger(value) && !Object.is(value, -0)) return ['int', String(value)]
        view.setFloat64(0, value)
        return ['float', Number.isNaN(value) ? '7ff8000000000000' : hex(view.buffer)]
      case 'string':
        return ['str', hex(Buffer.from(value))]
      case 'undefined':
        return ['undefined', '']
    }
    if (value === null) return ['null']
    if (value instanceof Date) return ['date', String(value.getTime())]
    if (value instanceof Uuid) return ['uuid', hex(value.bytes)]
    if (value instanceof Uint8Array) return ['bytes', hex(value)]
    if (Array.isArray(value)) return ['list', value.map(tag)]
    const pairs = value instanceof Map ? [...value] : Object.entries(value)
    return ['dict', pairs.map(([key, item]) => [tag(key), tag(item)])]
  }

  function untag([kind, content]) {
    switch (kind) {
      case 'null':
        return null
      case 'bool':
        return content === 'true'
      case 'int':
        return BigInt(content)
      case 'float':
        Buffer.from(content, 'hex').forEach((byte, i) => view.setUint8(i, byte))
        return view.getFloat64(0)
      case 'str':
        return Buffer.from(content, 'hex').toString()
      case 'date':
        return new Date(Number(content))
      case 'uuid':
        return new Uuid(Buffer.from(content, 'hex'))
      case 'bytes':
        return Uint8Array.from(Buffer.from(content, 'hex'))
      case 'list':
        return content.map(untag)
    }
    return new Map(content.map(([key, item]) => [untag(key), untag(item)]))
  }
  return { tag, untag }
}
