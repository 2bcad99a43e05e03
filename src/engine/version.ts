/** What this engine calls itself, and the Docker Engine whose behaviour and API it speaks. */
export const engineVersion = '0.1.0';
export const apiVersion = '1.51';
export const minApiVersion = '1.24';
