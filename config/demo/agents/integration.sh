# integration: brings two tables together: a customer, and what this customer has ordered.
# Prompt, as the argument: the customer's number. Result: the last line, as JSON.
#
# Integrations break. With `stumble` behind the number this one does, in the middle of its first attempt, in the
# hardest way there is: it kills itself. The hive sees the signal, keeps what was printed, and tries again.
set -eu
export LC_ALL=C

customer=${1%% *}
echo "looking for $customer in customers.csv"
name=$(awk -F, -v wanted="$customer" '$1 == wanted { print $2 }' customers.csv)
[ -n "$name" ] || { echo "there is no customer $customer" >&2; exit 3; }
echo "found $name; going through orders.csv"

if [ "${1#* }" = stumble ] && [ "$HIVE_ATTEMPT" = 1 ]; then
    echo "this does not look goo"
    kill -9 $$
fi

awk -F, -v wanted="$customer" -v name="$name" '
    $2 == wanted {
        orders = orders (jars ? "," : "") $1
        jars += $4
        cents += $4 * $5
    }
    END {
        printf "{\"customer\":\"%s\",\"name\":\"%s\",\"orders\":[%s],\"jars\":%d,\"cents\":%d}\n",
            wanted, name, orders, jars, cents
    }
' orders.csv
