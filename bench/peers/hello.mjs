// The least a Node program can do.
console.log('hello');
