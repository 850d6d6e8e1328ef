// Prints a token that the package jsonwebtoken signs: node jsonwebtoken.cjs KEY CLAIMS
const jwt = require("jsonwebtoken");
const [key, claims] = process.argv.slice(2);
console.log(jwt.sign(JSON.parse(claims), key, { algorithm: "HS256", keyid: key.split("_")[1] }));
