/** Checks JSON against a schema: the keywords of JSON Schema that the service enforces, and those beside them; pure. */

/**
 * What is wrong with a value, each with its path; empty if it satisfies the schema.
 *
 * @param {any} schema
 * @param {any} value
 * @returns {string[]}
 */
export function violations(schema, value) {
  return check(schema, value, { path: "answer", root: schema, depth: 0 });
}

/** @typedef {{path: string, root: any, depth: number}} Place */
/** @typedef {(schema: any, value: any, place: Place) => string[]} Rule */

const MOST_DEPTH = 100; // of references that refer to themselves

/** @type {Rule} */
function check(schema, value, place) {
  if (schema === true || schema === undefined) return [];
  if (schema === false) return [`${place.path} must not be there`];
  if (place.depth > MOST_DEPTH) return [];
  const deeper = { ...place, depth: place.depth + 1 };
  return RULES.flatMap((rule) => rule(schema, value, deeper));
}

/** @type {Rule[]} */
const RULES = [kinds, numbers, texts, lists, objects, combinations, references];

/** @type {Rule} */
function kinds(schema, value, { path }) {
  const types = schema.type === undefined ? [] : [schema.type].flat();
  if (types.length && !types.some((type) => isA(type, value))) return [`${path} must be ${types.join(" or ")}`];
  if (schema.enum && !schema.enum.some((/** @type {any} */ one) => same(one, value))) {
    return [`${path} must be one of ${JSON.stringify(schema.enum)}`];
  }
  if ("const" in schema && !same(schema.const, value)) return [`${path} must be ${JSON.stringify(schema.const)}`];
  return [];
}

/** @type {Rule} */
function numbers(schema, value, { path }) {
  if (typeof value !== "number") return [];
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
  return broken(path, [
    [minimum !== undefined && value < minimum, `at least ${minimum}`],
    [maximum !== undefined && value > maximum, `at most ${maximum}`],
    [exclusiveMinimum !== undefined && value <= exclusiveMinimum, `above ${exclusiveMinimum}`],
    [exclusiveMaximum !== undefined && value >= exclusiveMaximum, `below ${exclusiveMaximum}`],
    [multipleOf !== undefined && !Number.isInteger(value / multipleOf), `a multiple of ${multipleOf}`],
  ]);
}

/** @type {Rule} */
function texts(schema, value, { path }) {
  if (typeof value !== "string") return [];
  const { minLength, maxLength, pattern } = schema;
  const length = [...value].length;
  return broken(path, [
    [minLength !== undefined && length < minLength, `at least ${minLength} characters`],
    [maxLength !== undefined && length > maxLength, `at most ${maxLength} characters`],
    [pattern !== undefined && matches(pattern, value) === false, `a text that matches ${pattern}`],
  ]);
}

/** @type {Rule} */
function lists(schema, value, place) {
  if (!Array.isArray(value)) return [];
  const { minItems, maxItems, uniqueItems, prefixItems = [], items } = schema;
  const different = new Set(value.map((one) => JSON.stringify(one))).size;
  const found = broken(place.path, [
    [minItems !== undefined && value.length < minItems, `at least ${minItems} items`],
    [maxItems !== undefined && value.length > maxItems, `at most ${maxItems} items`],
    [uniqueItems && different < value.length, "items that differ"],
  ]);
  const within = value.flatMap((one, at) => check(prefixItems[at] ?? items, one, { ...place, path: `${place.path}[${at}]` }));
  return [...found, ...within];
}

/** @type {Rule} */
function objects(schema, value, place) {
  if (!isA("object", value)) return [];
  const { properties = {}, patternProperties = {}, required = [], additionalProperties } = schema;
  const found = required
    .filter((/** @type {string} */ name) => !Object.hasOwn(value, name))
    .map((/** @type {string} */ name) => `${place.path}.${name} is missing`);
  const closed = additionalProperties ?? !("properties" in schema); // as the service: objects are closed unless said
  for (const [name, one] of Object.entries(value)) {
    const schemas = [
      ...(Object.hasOwn(properties, name) ? [properties[name]] : []),
      ...Object.entries(patternProperties).flatMap(([pattern, own]) => (matches(pattern, name) ? [own] : [])),
    ];
    for (const own of schemas.length ? schemas : [closed]) found.push(...check(own, one, { ...place, path: `${place.path}.${name}` }));
  }
  return found;
}

/** @type {Rule} */
function combinations(schema, value, place) {
  const { allOf = [], anyOf, oneOf, not } = schema;
  const fits = (/** @type {any} */ one) => !check(one, value, place).length;
  return [
    ...allOf.flatMap((/** @type {any} */ one) => check(one, value, place)),
    ...broken(place.path, [
      [anyOf && !anyOf.some(fits), "as one of anyOf says"],
      [oneOf && oneOf.filter(fits).length !== 1, "as exactly one of oneOf says"],
      [not !== undefined && fits(not), "other than not says"],
    ]),
  ];
}

/** @type {Rule} */
function references(schema, value, place) {
  if (typeof schema.$ref !== "string" || !schema.$ref.startsWith("#")) return [];
  const keys = schema.$ref.slice(1).split("/").slice(1);
  const named = keys.map((/** @type {string} */ key) => decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~"));
  return check(named.reduce((/** @type {any} */ found, /** @type {string} */ key) => found?.[key], place.root), value, place);
}

/**
 * @param {string} path
 * @param {[boolean | undefined, string][]} rules Whether each is broken, and what it wants.
 */
function broken(path, rules) {
  return rules.filter(([isBroken]) => isBroken).map(([, words]) => `${path} must be ${words}`);
}

/**
 * @param {string} type
 * @param {any} value
 */
function isA(type, value) {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  if (type === "integer") return Number.isInteger(value);
  return typeof value === type;
}

/**
 * @param {any} one
 * @param {any} other
 * @returns {boolean}
 */
function same(one, other) {
  if (typeof one !== "object" || one === null || typeof other !== "object" || other === null) return one === other;
  const names = Object.keys(one);
  return Array.isArray(one) === Array.isArray(other) && names.length === Object.keys(other).length && names.every((name) => same(one[name], other[name]));
}

/**
 * Whether a text matches; null if the pattern is none that this browser reads.
 *
 * @param {string} pattern
 * @param {string} text
 */
function matches(pattern, text) {
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    return null;
  }
}
