# production: makes the letter that goes out with an order.
# Prompt, as the argument: the order's number. Result: the letter.
set -eu
export LC_ALL=C

order=$1
line=$(grep "^$order," orders.csv) || { echo "there is no order $order" >&2; exit 3; }
IFS=, read -r order customer honey jars cents <<END
$line
END
line=$(grep "^$customer," customers.csv) || { echo "there is no customer $customer" >&2; exit 3; }
IFS=, read -r customer name town <<END
$line
END

money() { printf '%d.%02d' $(($1 / 100)) $(($1 % 100)); }

sed -e "s/{{order}}/$order/g" -e "s/{{name}}/$name/g" -e "s/{{town}}/$town/g" \
    -e "s/{{honey}}/$honey/g" -e "s/{{jars}}/$jars/g" \
    -e "s/{{price}}/$(money "$cents")/g" -e "s/{{total}}/$(money $((cents * jars)))/g" letter.txt
